// The command line of `npm run deploy`, and what of it is kept in an environment's file.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readEnvironment, withOptions, writeEnvironment } from "./environment.ts";
import { parseDeployOptions, type DeployOptions } from "./options.ts";

const parse = (...args: string[]) => parseDeployOptions(args) as DeployOptions;

test("production is deployed unless something else is said", () => {
  expect(parse()).toMatchObject({ command: "deploy", environment: "production", yes: false });
  expect(parse("status", "--env", "staging")).toMatchObject({
    ...{ command: "status", environment: "staging" },
  });
  expect(parseDeployOptions(["-h"])).toBe("help");
});

test.each([
  [["destroy"], /"destroy" is no command/],
  [["--env", "Prod"], /--env takes/],
  [["--node", "gpu-1"], /--node takes ID=ORIGIN/],
  [["--domain", "https://see.example.com"], /--domain takes a host name/],
  [["--set", "key=value"], /--set takes a variable in capitals/],
  [["--set", "ANNOUNCE_ORIGINS=x"], /made of the --node entries/],
  [["--use", "ai"], /--use takes one of images/],
  [["--tenant", "A B"], /--tenant takes/],
  [["--force"], /--force/],
] as const)("%j is refused in words", (args, words) => {
  expect(() => parseDeployOptions(args)).toThrow(words);
});

test("what was said is kept, added to, and taken away by an empty value", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "blip2-environment-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const say = async (...args: string[]) => {
    const said = withOptions(await readEnvironment(folder, "staging"), parse(...args));
    return writeEnvironment(folder, "staging", said);
  };
  expect(await say("--node", "a=https://a.example.com", "--set", "OAUTH=true")).toBe(true);
  expect(await say("--node", "b=https://b.example.com", "--use", "vectorize")).toBe(true);
  expect(await say("--node", "b=https://b.example.com")).toBe(false);
  expect(await say("--set", "OAUTH=", "--set", "KEY_TTL_MS=1000")).toBe(true);
  expect(JSON.parse(await readFile(path.join(folder, "staging.json"), "utf8"))).toEqual({
    nodes: { a: "https://a.example.com", b: "https://b.example.com" },
    vars: { KEY_TTL_MS: "1000" },
    use: ["vectorize"],
  });
  await writeFile(path.join(folder, "staging.json"), '{"node":{}}');
  await expect(say()).rejects.toThrow(/staging.json cannot be understood: .*node/);
});
