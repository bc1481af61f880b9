// A real Directus with SQLite.
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { install, nodeOf } from "./install.ts";
import { answering, ask, freePort, start, type RealCms } from "./real-cms.ts";

const packages = ["directus@12.4.0", "sqlite3@6.0.1"];
/** Not its `directus` bin, which first asks for updates. */
const program = "node_modules/@directus/api/dist/cli/run.js";

export async function startDirectus(
  say: (line: string) => void,
  log: (text: string) => void,
): Promise<RealCms> {
  const folder = await install("directus-12.4.0", packages, say, { compiles: true });
  const state = await mkdtemp(path.join(os.tmpdir(), "blip2-directus-"));
  await mkdir(path.join(state, "extensions"));
  await writeFile(path.join(state, "package.json"), "{}");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const token = "an-administrators-token-of-the-lab";
  const env = {
    ...{ DB_CLIENT: "sqlite3", DB_FILENAME: path.join(state, "data.db"), HOST: "127.0.0.1" },
    ...{ PORT: String(port), PUBLIC_URL: url, KEY: "k".repeat(32), SECRET: "s".repeat(32) },
    ...{ ADMIN_EMAIL: "admin@example.com", ADMIN_PASSWORD: "a-password", ADMIN_TOKEN: token },
    ...{ STORAGE_LOCATIONS: "local", STORAGE_LOCAL_ROOT: path.join(state, "uploads") },
    ...{ EXTENSIONS_PATH: path.join(state, "extensions"), TELEMETRY: "false" },
    // By default it calls no local address.
    ...{ CACHE_ENABLED: "false", IMPORT_IP_DENY_LIST: "169.254.169.254" },
  };
  const run = (command: string) =>
    start(nodeOf(folder), [path.join(folder, program), command], { cwd: state, env }, log);
  await once(run("bootstrap").child, "exit");
  const running = run("start");
  await answering(`${url}/server/ping`, running);
  const headers = { authorization: `Bearer ${token}` };
  const call = (method: string, at: string, body?: FormData | object) =>
    ask(url + at, headers, method, body) as Promise<{ readonly data: Record<string, never> }>;

  return {
    ...{ kind: "directus", url, token, hasTags: true, takes: "any bytes" },
    async hook(target, secret) {
      const { data: flow } = await call("POST", "/flows", {
        ...{ name: "blip2-edge", status: "active", trigger: "event", accountability: "all" },
        options: { type: "action", scope: ["files.upload"] },
      });
      const { data: operation } = await call("POST", "/operations", {
        ...{ flow: flow["id"], name: "call", key: "call", type: "request" },
        ...{ position_x: 19, position_y: 1 },
        options: {
          ...{ method: "POST", url: target, body: "{{$trigger}}" },
          headers: [{ header: "X-Webhook-Secret", value: secret }],
        },
      });
      await call("PATCH", `/flows/${flow["id"]}`, { operation: operation["id"] });
    },
    async upload(name, type, bytes, alt) {
      const form = new FormData();
      if (alt !== undefined) form.set("description", alt);
      form.set("file", new Blob([new Uint8Array(bytes)], { type }), name);
      return (await call("POST", "/files", form)).data["id"] ?? "";
    },
    async words(id) {
      const { data } = await call("GET", `/files/${id}?fields=description,tags`);
      return { alt: data["description"] ?? null, tags: data["tags"] ?? [] };
    },
    async stop() {
      await running.stop();
      await rm(state, { recursive: true, force: true });
    },
  };
}
