import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { probeProvider } from "./probe-provider.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "probe-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A program in place of the one that opens a session. */
async function program(name: string, source: string): Promise<string> {
  const path = join(folder, `${name}.mjs`);
  await writeFile(path, source);
  return path;
}

test("the CPU adds, by a graph of one node in a process of its own", async () => {
  await expect(probeProvider("cpu")).resolves.toBeUndefined();
});

test("webgpu without a driver ends with what is missing", async () => {
  // A loader that finds no driver, or no loader at all: the same to a caller.
  const env = { VK_DRIVER_FILES: "/nowhere", VK_ICD_FILENAMES: "/nowhere" };
  const probe = probeProvider("webgpu", { env });
  await expect(probe).rejects.toMatchObject({ code: "usage" });
  await expect(probe).rejects.toThrow(/webgpu is not available here: .*Vulkan/);
});

test("a driver that takes its process with it is named, not suffered", async () => {
  const crash = await program("crash", "console.error('oh dear'); process.abort();");
  await expect(probeProvider("webgpu", { program: crash })).rejects.toMatchObject({
    code: "usage",
    detail: expect.stringMatching(
      /its driver ended the process that tried it \(SIGABRT\)/,
    ) as string,
    internal: expect.stringContaining("oh dear") as string,
  });
});

test("a driver that hangs is given up", async () => {
  const hang = await program("hang", "for (;;);");
  const probe = probeProvider("webgpu", { program: hang, timeoutMs: 300 });
  await expect(probe).rejects.toThrow(/a graph of one node did not run within 0\.3 s/);
});

test("one that answers and then falls over counts as working", async () => {
  const rude = await program(
    "rude",
    "process.send({ ok: true }, () => process.kill(process.pid, 'SIGSEGV'));",
  );
  await expect(probeProvider("webgpu", { program: rude })).resolves.toBeUndefined();
});

test("gives up when told to", async () => {
  const hang = await program("wait", "setInterval(() => {}, 1000);");
  const probe = probeProvider("webgpu", { program: hang, signal: AbortSignal.timeout(200) });
  await expect(probe).rejects.toMatchObject({ name: "TimeoutError" });
});
