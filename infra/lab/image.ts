// `npm run lab:image`: carries out infra/node/Dockerfile's stage `cpu` in a plain folder and starts what comes of
// it as a container would: its own root, mounted for reading only, user 10001 without rights, its own processes
// and network, with nano for a model. Needs root, util-linux and the npm registry; the base is this machine's /usr.
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { Copy, DockerfileParser } from "dockerfile-ast";
import { nanoArtifact } from "../../test/support/nano-artifact.ts";

const root = path.resolve(import.meta.dirname, "../..");
const work = mkdtempSync(path.join(tmpdir(), "blip2-image-"));
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const user = 10_001;
const readyS = 60;

interface Step {
  readonly keyword: string;
  readonly args: string;
  /** Of a COPY from another stage. */
  readonly from: string | undefined;
}

function stagesOf(source: string): Map<string, Step[]> {
  const dockerfile = DockerfileParser.parse(source);
  const froms = dockerfile.getFROMs();
  const stages = new Map<string, Step[]>();
  let current: Step[] = [];
  for (const instruction of dockerfile.getInstructions()) {
    const { line } = instruction.getRange().start;
    const from = froms.find((each) => each.getRange().start.line === line);
    if (from === undefined) {
      const flag = instruction instanceof Copy ? instruction.getFromFlag() : null;
      current.push({
        keyword: instruction.getKeyword(),
        args: instruction.getRawArgumentsContent() ?? "",
        from: flag?.getValue() ?? undefined,
      });
    } else stages.set(from.getBuildStage() ?? "", (current = []));
  }
  return stages;
}
const stages = stagesOf(readFileSync(path.join(root, "infra/node/Dockerfile"), "utf8"));
const folderOf = (stage: string): string => path.join(work, stage);

/** What COPY and RUN of a stage do, below its own folder. */
function carryOut(stage: string): void {
  let workdir = "/";
  for (const { keyword, args, from } of stages.get(stage) ?? []) {
    if (keyword === "WORKDIR") {
      workdir = args.trim();
      mkdirSync(path.join(folderOf(stage), workdir), { recursive: true });
    } else if (keyword === "RUN") {
      say(`${stage}: ${args.split("\n")[0]}`);
      execFileSync("sh", ["-euc", args.replaceAll("\\\n", " ")], {
        cwd: path.join(folderOf(stage), workdir),
        stdio: ["ignore", "ignore", "inherit"],
      });
    } else if (keyword === "COPY") {
      const paths = args.split(/\s+/).filter((word) => word !== "" && !word.startsWith("--"));
      const target = paths.pop() ?? "";
      for (const file of paths) copyOne(stage, from, file, path.resolve(workdir, target), target);
    }
  }
}
function copyOne(
  stage: string,
  from: string | undefined,
  file: string,
  to: string,
  said: string,
): void {
  const source = from === undefined ? path.join(root, file) : path.join(folderOf(from), file);
  const named = said.endsWith("/") ? path.join(to, path.basename(file)) : to;
  cpSync(source, path.join(folderOf(stage), named), {
    recursive: true,
    verbatimSymlinks: true,
    // As Dockerfile.dockerignore has it, of what comes from the repository.
    filter: (name) => from !== undefined || !/\.test\.ts$|\/node_modules(\/|$)/.test(name),
  });
}
const listOf = (stage: string, keyword: string): string[] =>
  JSON.parse(
    stages
      .get(stage)
      ?.find((step) => step.keyword === keyword)
      ?.args.replace(/^[^[]*/s, "") ?? "[]",
  ) as string[];

/** Makes the container's root and becomes its first process. */
const enter = `
cd "$1"
mount --make-rprivate /
mount --bind . . && cd "$1"
for part in null urandom; do mount --bind "/dev/$part" "dev/$part"; done
for part in usr sys; do mount --rbind "/$part" "$part" && mount -o remount,ro,bind "$part"; done
mount -t proc proc proc
mount --bind "$2" opt/node
mount -o remount,ro,bind .
ip link set lo up
shift 2
exec chroot . /usr/bin/setpriv --reuid=${user} --regid=${user} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
  /usr/bin/env -i PATH=/opt:/usr/bin NODE_ENV=production HF_HOME=/models/.hub "$@"
`;

const now = (): number => Math.round(performance.now());
let child: ChildProcess | undefined;
try {
  for (const stage of ["dependencies", "sources", "cpu"]) {
    mkdirSync(folderOf(stage), { recursive: true });
    carryOut(stage);
  }
  const container = folderOf("cpu");
  for (const part of ["usr", "sys", "proc", "opt", "models", "run/secrets", "etc", "dev"]) {
    mkdirSync(path.join(container, part), { recursive: true });
  }
  for (const link of ["bin", "lib", "lib64"])
    execFileSync("ln", ["-s", `usr/${link}`, path.join(container, link)]);
  for (const file of ["opt/node", "dev/null", "dev/urandom"]) {
    writeFileSync(path.join(container, file), "");
  }
  cpSync(await nanoArtifact(), path.join(container, "models/current"), {
    recursive: true,
    dereference: true,
  });
  const keys = path.join(container, "run/secrets/node-keys");
  writeFileSync(keys, `edge:${"0123456789abcdef".repeat(2)}\n`);
  chownSync(keys, user, user);
  chmodSync(keys, 0o400);

  const began = now();
  const [entry, command] = [listOf("cpu", "ENTRYPOINT"), listOf("cpu", "CMD")];
  child = spawn(
    "unshare",
    [
      "--mount",
      "--pid",
      "--fork",
      "--net",
      "--kill-child",
      "sh",
      "-euc",
      enter,
      "enter",
      container,
      process.execPath,
      ...entry,
      ...command,
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  const ended = once(child, "exit");
  /** Its first process, once that is Node and no longer what makes its root. */
  const unsharing = child.pid;
  const inside = async (): Promise<string> => {
    for (;;) {
      const pid = readFileSync(`/proc/${unsharing}/task/${unsharing}/children`, "utf8").trim();
      const program = pid === "" ? "" : readlinkSync(`/proc/${pid}/exe`);
      if (path.basename(program) === "node") return pid;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const pid = await inside();
  const within = (...args: readonly string[]) =>
    spawnSync(
      "nsenter",
      [
        "--target",
        pid,
        "--mount",
        "--net",
        "--pid",
        "--root",
        "--wd",
        "--setuid",
        String(user),
        "--setgid",
        String(user),
        "--",
        ...args,
      ],
      { encoding: "utf8", env: { PATH: "/opt:/usr/bin" } },
    );

  const health = listOf("cpu", "HEALTHCHECK").map((word) => (word === "node" ? "/opt/node" : word));
  const healthy = within(...health, String(readyS));
  if (healthy.status !== 0) throw new Error(`HEALTHCHECK: ${healthy.stderr}`);
  say(`healthy after ${now() - began} ms`);
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  for (const name of ["Uid", "CapEff", "CapBnd", "NoNewPrivs"]) {
    say((new RegExp(`^${name}:.*$`, "m").exec(status)?.[0] ?? "").replaceAll("\t", " "));
  }
  for (const place of ["/app/x", "/models/x", "/x"]) {
    const written = within("/usr/bin/touch", place);
    if (written.status === 0) throw new Error(`${place} could be written`);
    say(written.stderr.trim());
  }
  const told = now();
  process.kill(Number(pid), "SIGTERM");
  const [code] = (await ended) as [number | null];
  say(`ended with ${code} after ${now() - told} ms`);
  process.exitCode = code === 0 ? 0 : 1;
} finally {
  // With it goes everything in it.
  child?.kill("SIGKILL");
  rmSync(work, { recursive: true, force: true });
}
