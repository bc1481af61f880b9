// Stand-ins speak as cloudflared does; the real one needs Cloudflare.
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openTunnel, type TunnelOptions } from "./tunnel.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "blip2-tunnel-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A program that runs this script of the shell. */
async function standIn(name: string, script: string): Promise<string> {
  const program = path.join(folder, name);
  await writeFile(program, `#!/bin/sh\n${script}\n`);
  await chmod(program, 0o755);
  return program;
}
const registered = 'echo "2026-01-01T00:00:00Z INF Registered tunnel connection connIndex=0" >&2';
const waits = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

function open(program: string, more: Partial<TunnelOptions> = {}) {
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const signal = new AbortController().signal;
  return openTunnel({ target: "http://127.0.0.1:9", log, signal, program, ...more });
}

test("a quick tunnel: its name is read, and it ends when it is told to", async () => {
  const argsFile = path.join(folder, "args");
  const program = await standIn(
    "quick",
    `echo "$@" > ${argsFile}
echo "INF Requesting new quick Tunnel on trycloudflare.com..." >&2
echo "INF |  https://two-owls-and-a-lion.trycloudflare.com  |" >&2
${registered}
${waits}`,
  );
  const tunnel = await open(program);
  expect(tunnel.url).toBe("https://two-owls-and-a-lion.trycloudflare.com");
  await tunnel.stop();
  expect(await readFile(argsFile, "utf8")).toBe(
    "tunnel --no-autoupdate --grace-period 30s --url http://127.0.0.1:9\n",
  );
});

test("the tunnel of a token has the name that the dashboard gave it; one that breaks says what it said last", async () => {
  const program = await standIn(
    "named",
    `[ "$5 $6" = "run --token-file" ] || exit 3
${registered}
sleep 0.1
echo "ERR Unauthorized: Invalid tunnel secret" >&2
exit 1`,
  );
  const tunnel = await open(program, { tokenFile: "/etc/blip2/tunnel-token" });
  expect(tunnel.url).toBeUndefined();
  expect(await tunnel.broken).toMatchObject({
    code: "node_unavailable",
    detail: expect.stringMatching(/ended \(status 1\).*Invalid tunnel secret/) as string,
  });
});

test("no cloudflared, one that ends at once, one that does not connect: each says so", async () => {
  await expect(open(path.join(folder, "none"))).rejects.toMatchObject({
    code: "usage",
    detail: expect.stringContaining("ENOENT") as string,
  });
  const fails = await standIn("fails", 'echo "failed to request quick Tunnel" >&2; exit 1');
  await expect(open(fails)).rejects.toThrow("failed to request quick Tunnel");
  const hangs = await standIn("hangs", waits);
  await expect(open(hangs, { openMs: 100 })).rejects.toThrow("not connected after 0.1 s");
  const given = new AbortController();
  given.abort(new Error("told to end"));
  await expect(open(hangs, { signal: given.signal })).rejects.toThrow("told to end");
});
