// A real Strapi with SQLite and without its admin panel.
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { install, nodeOf } from "./install.ts";
import { answering, ask, freePort, start, type RealCms } from "./real-cms.ts";

const version = "5.54.0";
const packages = [
  ...[`@strapi/strapi@${version}`, `@strapi/plugin-users-permissions@${version}`],
  ...["better-sqlite3@12.8.0", "react@18", "react-dom@18", "react-router-dom@6"],
  "styled-components@6",
];

/** The application around it. */
const files: Readonly<Record<string, string>> = {
  "config/database.js":
    "module.exports = ({ env }) => ({ connection: { client: 'sqlite', connection: { filename: env('DATABASE_FILENAME') }, useNullAsDefault: true } });",
  "config/server.js":
    "module.exports = ({ env }) => ({ host: env('HOST'), port: env.int('PORT'), app: { keys: env.array('APP_KEYS') } });",
  "config/admin.js":
    "module.exports = ({ env }) => ({ serveAdminPanel: false, auth: { secret: env('ADMIN_JWT_SECRET') }, apiToken: { salt: env('API_TOKEN_SALT') }, transfer: { token: { salt: env('TRANSFER_TOKEN_SALT') } }, secrets: { encryptionKey: env('ENCRYPTION_KEY') } });",
  "config/middlewares.js":
    "module.exports = ['logger', 'errors', 'security', 'cors', 'poweredBy', 'query', 'body', 'session', 'favicon', 'public'].map((name) => `strapi::${name}`);",
  "config/plugins.js": "module.exports = () => ({});",
  "config/api.js": "module.exports = { rest: { defaultLimit: 25, maxLimit: 100 } };",
  "src/index.js": "module.exports = { register() {}, bootstrap() {} };",
};

export async function startStrapi(
  say: (line: string) => void,
  log: (text: string) => void,
): Promise<RealCms> {
  const folder = await install(`strapi-${version}`, packages, say, { compiles: true });
  const state = await mkdtemp(path.join(os.tmpdir(), "blip2-strapi-"));
  for (const sub of ["config", "src/api", "public/uploads", "database/migrations"]) {
    await mkdir(path.join(state, sub), { recursive: true });
  }
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(state, name), text);
  const about = { name: "lab", version: "1.0.0", private: true, strapi: { uuid: "lab" } };
  const dependencies = Object.fromEntries(
    packages.map((each) => [each.slice(0, each.lastIndexOf("@")), version] as const),
  );
  await writeFile(path.join(state, "package.json"), JSON.stringify({ ...about, dependencies }));
  await symlink(path.join(folder, "node_modules"), path.join(state, "node_modules"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    ...{ NODE_ENV: "development", HOST: "127.0.0.1", PORT: String(port) },
    ...{ DATABASE_FILENAME: path.join(state, "data.db"), STRAPI_TELEMETRY_DISABLED: "true" },
    ...{ APP_KEYS: "one-key,two-key", API_TOKEN_SALT: "salt", TRANSFER_TOKEN_SALT: "salt" },
    ...{ ADMIN_JWT_SECRET: "secret", JWT_SECRET: "secret", ENCRYPTION_KEY: "e".repeat(32) },
  };
  const program = path.join(folder, "node_modules/@strapi/strapi/bin/strapi.js");
  const running = start(nodeOf(folder), [program, "start"], { cwd: state, env }, log);
  await answering(`${url}/admin/init`, running);
  const admin = (await ask(`${url}/admin/register-admin`, {}, "POST", {
    ...{ firstname: "Ada", lastname: "L", email: "ada@example.com", password: "Password1" },
  })) as { readonly data: { readonly token: string } };
  const asAdmin = { authorization: `Bearer ${admin.data.token}` };
  const made = (await ask(`${url}/admin/api-tokens`, asAdmin, "POST", {
    ...{ name: "blip2-edge", description: "", type: "custom", lifespan: null },
    permissions: ["find", "findOne", "upload"].map((name) => `plugin::upload.content-api.${name}`),
  })) as { readonly data: { readonly accessKey: string } };
  const token = made.data.accessKey;
  const headers = { authorization: `Bearer ${token}` };

  return {
    ...{ kind: "strapi", url, token, hasTags: false, takes: "any bytes" },
    async hook(target, secret) {
      await ask(`${url}/admin/webhooks`, asAdmin, "POST", {
        ...{ name: "blip2-edge", url: target, headers: { "X-Webhook-Secret": secret } },
        events: ["media.create", "media.update"],
      });
    },
    async upload(name, type, bytes, alt) {
      const form = new FormData();
      if (alt !== undefined) form.set("fileInfo", JSON.stringify({ alternativeText: alt }));
      form.set("files", new Blob([new Uint8Array(bytes)], { type }), name);
      const [file] = (await ask(`${url}/api/upload`, headers, "POST", form)) as { id: number }[];
      return String(file?.id);
    },
    async words(id) {
      const file = (await ask(`${url}/api/upload/files/${id}`, headers, "GET")) as {
        readonly alternativeText: string | null;
      };
      return { alt: file.alternativeText, tags: [] };
    },
    async stop() {
      await running.stop();
      await rm(state, { recursive: true, force: true });
    },
  };
}
