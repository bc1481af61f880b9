// A real Payload with SQLite, without Next.js; nothing of it is compiled, so it installs in half a minute.
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { install, registryAway } from "./install.ts";
import { answering, ask, freePort, start } from "./real-cms.ts";
import type { StartRealCms } from "./real-cms.ts";

const version = "3.90.2";
const name = `payload-${version}`;
const packages = [
  ...[`payload@${version}`, `@payloadcms/db-sqlite@${version}`],
  ...["sharp@0.35.5", "graphql@16.15.0"],
];
const root = path.join(import.meta.dirname, "../../..");
const programs = [
  "infra/lab/real-cms/payload-server.mjs",
  "infra/cms/payload/notify-blip2-edge.ts",
] as const;
const installLimitMs = 150_000;

export const payloadAway = (): Promise<string | undefined> => registryAway(name, packages);

export const startPayload: StartRealCms = async (say, log) => {
  const folder = await install(name, packages, say, { compiles: false, timeoutMs: installLimitMs });
  const state = await mkdtemp(path.join(os.tmpdir(), "blip2-payload-"));
  await symlink(path.join(folder, "node_modules"), path.join(state, "node_modules"));
  // As far from each other as here, so that one finds the other, and below the packages.
  for (const file of programs) {
    await mkdir(path.dirname(path.join(state, file)), { recursive: true });
    await copyFile(path.join(root, file), path.join(state, file));
  }
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/api/media`;
  const token = "an-api-key-of-the-lab";
  // In production it makes no tables by itself.
  const env = { PORT: String(port), FOLDER: state, API_KEY: token, NODE_ENV: "development" };
  const running = start(
    process.execPath,
    [path.join(state, programs[0])],
    { cwd: state, env },
    log,
  );
  await answering(url, running);
  const headers = { authorization: `users API-Key ${token}` };
  const formOf = (file: string, type: string, bytes: Uint8Array, fields: object): FormData => {
    const form = new FormData();
    form.set("_payload", JSON.stringify(fields));
    form.set("file", new Blob([new Uint8Array(bytes)], { type }), file);
    return form;
  };

  return {
    ...{ kind: "payload", url, token, hasTags: true, fields: { tags: "tags" } },
    takes: "a beginning",
    hook: (target, secret) =>
      writeFile(path.join(state, "hook.json"), JSON.stringify({ url: target, secret })),
    async upload(file, type, bytes, alt) {
      const form = formOf(file, type, bytes, alt === undefined ? {} : { alt });
      const { doc } = (await ask(url, headers, "POST", form)) as { doc: { id: number } };
      return String(doc.id);
    },
    async words(id) {
      const row = (await ask(`${url}/${id}`, headers, "GET")) as {
        readonly alt?: string | null;
        readonly tags?: readonly string[] | null;
      };
      return { alt: row.alt ?? null, tags: row.tags ?? [] };
    },
    async retitle(id, alt) {
      await ask(`${url}/${id}`, headers, "PATCH", { alt });
    },
    async replace(id, file, type, bytes) {
      await ask(`${url}/${id}`, headers, "PATCH", formOf(file, type, bytes, {}));
    },
    async stop() {
      await running.stop();
      await rm(state, { recursive: true, force: true });
    },
  };
};
