// Where `blip2 serve` takes its collector from, and that the worst of collectors does not keep it from ending.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { afterEach, expect, test } from "vitest";
import { nanoArtifact } from "../../../test/support/nano-artifact.ts";
import type { ServeIo } from "./run-node.ts";
import { serve } from "./serve.ts";

const nodeKeys = "test:0123456789abcdef0123456789abcdef";
const variable = "OTEL_EXPORTER_OTLP_ENDPOINT";

/** The reason why a node without artifacts does not start: of its settings, or of the artifacts. */
async function refusal(args: readonly string[], env: Readonly<Record<string, string>>) {
  const io: ServeIo = {
    stdout: () => {},
    stderr: () => {},
    signal: new AbortController().signal,
    env,
    nodeKeys,
    pid: 1,
    rssBytes: () => 0,
    onHangup: () => {},
  };
  return serve(["--model", "/nowhere", ...args], io).then(
    () => "started",
    (error: unknown) => String(error),
  );
}

test("the collector is the flag's, else the environment's, where an empty value is none", async () => {
  const wrong = "--otlp-endpoint: not an http or https address";
  expect(await refusal([], { [variable]: "nonsense" })).toContain(wrong);
  expect(await refusal(["--otlp-endpoint", "nonsense"], {})).toContain(wrong);
  const right = ["--otlp-endpoint", "http://127.0.0.1:4318"];
  expect(await refusal(right, { [variable]: "nonsense" })).toContain("/nowhere");
  expect(await refusal([], { [variable]: "" })).toContain("/nowhere");
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

test("a collector that takes spans and never answers holds the end up by seconds at most", async () => {
  const artifact = await nanoArtifact();
  let connections = 0;
  const silent = createServer((socket) => {
    connections += 1;
    // Read, so that the end of the other side is noticed, and never answered.
    socket.on("error", () => {}).resume();
  });
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "main.ts"), "serve", "--model", artifact],
    {
      stdio: ["ignore", "pipe", "ignore"],
      env: {
        ...process.env,
        BLIP2_NODE_KEYS: nodeKeys,
        [variable]: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
      },
    },
  );
  children.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const { url } = JSON.parse(line) as { url: string };
  const catalog = `${url}/v1/catalog`;
  const signer = createSigner({ keys: parseSigningKeys(nodeKeys) });
  const headers = await signer.sign({ method: "GET", url: catalog });
  expect((await fetch(catalog, { headers })).status).toBe(200);

  const toldAt = performance.now();
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(performance.now() - toldAt).toBeLessThan(15_000);
  expect(connections).toBeGreaterThan(0);
  await new Promise((resolve) => silent.close(resolve));
});
