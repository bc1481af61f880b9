// Runs a script of this repository under the Node that the repository pins, after installing what is
// missing or stale. Plain JavaScript for the system's Node (20 or newer); it imports nothing of ours.
// Usage: node infra/bootstrap.mjs SCRIPT [ARG ...]
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const stampFile = path.join(root, "node_modules", ".blip2-install");
const lockDir = path.join(root, ".blip2-install.lock");
const neededMajor = 24;
const staleLockMs = 10 * 60_000;

const say = (line) => process.stderr.write(`${line}\n`);

/** What an installation depends on: when any of it changes, node_modules is stale. */
function installDigest() {
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json", ".npmrc"]) {
    hash.update(readFileSync(path.join(root, file)));
  }
  return hash.update(`${process.platform}-${process.arch}`).digest("hex");
}

const isInstalled = (digest) =>
  existsSync(stampFile) && readFileSync(stampFile, "utf8").trim() === digest;

const run = (command, args, options) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "inherit", cwd: root, ...options });
    // Ctrl-C reaches the whole group, a signal from another program only this process: it is passed on,
    // so the child may see it twice.
    const forward = (signal) => child.kill(signal);
    process.on("SIGINT", forward);
    process.on("SIGTERM", forward);
    process.on("SIGHUP", forward);
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      process.off("SIGINT", forward);
      process.off("SIGTERM", forward);
      process.off("SIGHUP", forward);
      resolve({ code, signal });
    });
  });

/** Two first runs at once must not install over each other: a folder is the lock. */
async function withInstallLock(work) {
  for (let told = false; ;) {
    try {
      mkdirSync(lockDir);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      const ageMs = Date.now() - (statSync(lockDir, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      if (ageMs > staleLockMs) {
        rmSync(lockDir, { recursive: true, force: true });
        continue;
      }
      if (!told) say("Another process is installing the dependencies; waiting for it ...");
      told = true;
      await sleep(500);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(lockDir, { recursive: true, force: true });
  }
}

async function install() {
  const digest = installDigest();
  if (isInstalled(digest)) return;
  await withInstallLock(async () => {
    if (isInstalled(digest)) return;
    say("Installing dependencies ...");
    // Not `npm ci`: it refuses a lockfile that lacks the optional binaries of other platforms. With
    // exact versions everywhere and nothing saved, this installs what the lockfile says all the same.
    // Standard output belongs to the script that follows, so npm's goes to standard error.
    const { code } = await run("npm", ["install", "--no-save", "--loglevel=error"], {
      stdio: ["ignore", 2, 2],
    });
    if (code !== 0) {
      say("The dependencies could not be installed; npm's messages above say why.");
      say(
        "It needs the npm registry and nothing else. Run the same command again once it is reachable.",
      );
      process.exit(1);
    }
    writeFileSync(stampFile, `${digest}\n`);
  });
}

/** The pinned Node of this platform, or the system's own where there is no package of it. */
function pinnedNode() {
  const pinned = path.join(
    root,
    "node_modules",
    `node-${process.platform}-${process.arch}`,
    "bin",
    "node",
  );
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split(".")[0]) >= neededMajor) return process.execPath;
  say(
    `There is no packaged Node ${neededMajor} for ${process.platform}-${process.arch}, and this is Node ${process.versions.node}.`,
  );
  say(`Install Node ${neededMajor} or newer and run the command again.`);
  return process.exit(1);
}

const [script, ...args] = process.argv.slice(2);
if (script === undefined) {
  say("Usage: node infra/bootstrap.mjs SCRIPT [ARG ...]");
  process.exit(2);
}
await install();
const node = pinnedNode();
const { code, signal } = await run(node, [path.join(root, script), ...args], {
  // Paths that the user typed are relative to where he stands, not to the repository.
  cwd: process.env.INIT_CWD ?? process.cwd(),
  env: {
    ...process.env,
    PATH: [path.join(root, "node_modules", ".bin"), path.dirname(node), process.env.PATH].join(
      path.delimiter,
    ),
  },
});
process.exit(code ?? 128 + (os.constants.signals[signal] ?? 0));
