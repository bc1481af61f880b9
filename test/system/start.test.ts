// `npm start` as a person runs it: real processes, the files it writes, what it says when it cannot start.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { identify } from "../../infra/start/processes.ts";
import { root, samplesDir } from "../support/stack.ts";

let stateDir: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-start-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
  }
  await rm(stateDir, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  output(): { stdout: string; stderr: string };
}

function npmStart(args: readonly string[], env: Record<string, string> = {}): Started {
  const child = spawn(
    process.execPath,
    [path.join(root, "infra/bootstrap.mjs"), "infra/start/main.ts", "--state", stateDir, ...args],
    {
      cwd: root,
      env: { ...process.env, INIT_CWD: root, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  children.push(child);
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (text) => (stdout += String(text)));
  child.stderr?.on("data", (text) => (stderr += String(text)));
  const exit = once(child, "exit").then(([code]) => code as number | null);
  return { child, exit, output: () => ({ stdout, stderr }) };
}

async function ready(file: string, started: Started) {
  for (let waitedMs = 0; waitedMs < 120_000; waitedMs += 100) {
    if ((await stat(file).catch(() => undefined)) !== undefined) {
      return JSON.parse(await readFile(file, "utf8")) as {
        url: string;
        api_key: string;
        node_url: string;
        pids: number[];
      };
    }
    if (started.child.exitCode !== null) break;
    await sleep(100);
  }
  throw new Error(`not ready: ${JSON.stringify(started.output())}`);
}

/** A zombie that nobody has reaped yet does not run. */
const runs = (pid: number): boolean => identify(pid, "") !== undefined;

const samples = async () =>
  (
    JSON.parse(await readFile(path.join(samplesDir, "samples.json"), "utf8")) as {
      samples: { file: string; caption: string }[];
    }
  ).samples;

describe("npm start", () => {
  test("captions the sample, prints a curl that works, refuses a second start, and Ctrl-C ends every process", async () => {
    const readyFile = path.join(stateDir, "ready.json");
    const started = npmStart(["--port", "0", "--ready-file", readyFile]);
    const info = await ready(readyFile, started);
    const [first] = await samples();
    expect(started.output().stdout).toContain(first?.caption);

    const curl = started
      .output()
      .stdout.split("\n")
      .find((line) => line.startsWith("curl "));
    expect(curl).toContain(info.url);
    const repeat = spawn("sh", ["-c", `${curl?.replace("curl ", "curl -s ")}`], { cwd: root });
    let answer = "";
    repeat.stdout.on("data", (text) => (answer += String(text)));
    await once(repeat, "exit");
    expect(JSON.parse(answer)).toMatchObject({ text: first?.caption });

    const second = npmStart(["--port", "0"]);
    expect(await second.exit).toBe(1);
    expect(second.output().stderr).toContain("already runs");
    expect(second.output().stderr).toContain(info.url);

    // With a stack up, a picture is captioned by it.
    const file = path.join(samplesDir, first?.file ?? "");
    const once_ = npmStart([file]);
    expect(await once_.exit).toBe(0);
    expect(once_.output().stdout).toBe(`${first?.caption}\n`);

    expect(info.pids.length).toBeGreaterThanOrEqual(4);
    expect(info.pids.every(runs)).toBe(true);
    started.child.kill("SIGINT");
    expect(await started.exit).toBe(0);
    await sleep(200);
    expect(info.pids.filter(runs)).toEqual([]);
    await expect(stat(path.join(stateDir, "lock.json"))).rejects.toThrow("ENOENT");
  });

  test("cleans up after a run that was killed", async () => {
    const readyFile = path.join(stateDir, "ready.json");
    const first = npmStart(["--port", "0", "--ready-file", readyFile]);
    const info = await ready(readyFile, first);
    process.kill(info.pids[0] ?? 0, "SIGKILL");
    await first.exit;
    await rm(readyFile);

    const second = npmStart(["--port", "0", "--ready-file", readyFile]);
    await ready(readyFile, second);
    expect(info.pids.filter(runs)).toEqual([]);
  });

  test("captions pictures and exits; one that is none fails by name", async () => {
    const [first] = await samples();
    const good = npmStart([path.join("gpu-node/nano/samples", first?.file ?? "")]);
    expect(await good.exit).toBe(0);
    expect(good.output().stdout).toBe(`${first?.caption}\n`);

    const bad = npmStart(["package.json", "no-such-file.jpg"]);
    expect(await bad.exit).toBe(1);
    expect(bad.output().stderr).toContain("package.json: ");
    expect(bad.output().stderr).toContain("no-such-file.jpg");
    expect(bad.output().stdout).toBe("");
  });

  test("a port in use, an unknown flag, a malformed origin: each says what to do", async () => {
    const server = net.createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    try {
      const taken = npmStart(["--port", String(port)]);
      expect(await taken.exit).toBe(1);
      expect(taken.output().stderr).toContain(`Port ${port} is in use`);
      expect(taken.output().stderr).toContain("--port");
    } finally {
      server.close();
    }
    const flag = npmStart(["--prot", "1"]);
    expect(await flag.exit).toBe(2);
    expect(flag.output().stderr).toContain("--prot");

    const origin = npmStart(["--allow-fetch", "http://localhost"]);
    expect(await origin.exit).toBe(2);
    expect(origin.output().stderr).toContain("HOST:PORT");
  });
});
