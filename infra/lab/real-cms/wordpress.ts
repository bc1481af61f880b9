// A real WordPress with SQLite, its PHP compiled to WebAssembly: one worker, so that whatever it waits for holds
// everything else up.
import { copyFile, cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { install } from "./install.ts";
import { answering, ask, freePort, start, type StartRealCms } from "./real-cms.ts";

const version = "6.5";
const packages = [
  ...["@wp-playground/cli@3.1.56", "@wp-playground/wordpress-builds@0.9.19", "fflate@0.8.3"],
];

/** The files of WordPress, unpacked once. */
async function unpacked(folder: string): Promise<string> {
  const site = path.join(folder, "site");
  if (existsSync(site)) return site;
  const { unzipSync } = createRequire(path.join(folder, "package.json"))("fflate") as {
    unzipSync(bytes: Uint8Array): Record<string, Uint8Array>;
  };
  const builds = path.join(folder, "node_modules/@wp-playground/wordpress-builds/src/wordpress");
  const files = unzipSync(await readFile(path.join(builds, `wp-${version}.zip`)));
  const half = `${site}-half`;
  for (const [name, bytes] of Object.entries(files)) {
    const to = path.join(half, name);
    await mkdir(name.endsWith("/") ? to : path.dirname(to), { recursive: true });
    if (!name.endsWith("/")) await writeFile(to, bytes);
  }
  await rename(half, site);
  return site;
}

export const startWordpress: StartRealCms = async (say, log) => {
  const folder = await install(`wordpress-${version}`, packages, say, { compiles: false });
  const state = await mkdtemp(path.join(os.tmpdir(), "blip2-wordpress-"));
  await cp(await unpacked(folder), state, { recursive: true });
  const content = path.join(state, "wp-content");
  const plugins = path.join(content, "mu-plugins");
  await mkdir(plugins, { recursive: true });
  const ours = path.join(import.meta.dirname, "../../cms/wordpress/blip2-edge.php");
  await copyFile(path.join(import.meta.dirname, "wordpress-site.php"), `${plugins}/a-lab.php`);
  await copyFile(ours, `${plugins}/blip2-edge.php`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = [
    ...["server", `--port=${port}`, "--php=8.3", "--workers=1"],
    ...["--wordpress-install-mode=install-from-existing-files"],
    `--mount-before-install=${state}:/wordpress`,
  ];
  const program = path.join(folder, "node_modules/.bin/wp-playground-cli");
  const running = start(process.execPath, [program, ...args], { cwd: folder, env: {} }, log);
  await answering(`${url}/wp-json/`, running);
  const token = await readFile(path.join(content, "lab-token"), "utf8");
  const headers = { authorization: `Basic ${Buffer.from(token).toString("base64")}` };
  const media = `${url}/wp-json/wp/v2/media`;

  return {
    ...{ kind: "wordpress", url, token, hasTags: false, takes: "a beginning" },
    hook: (target, secret) =>
      writeFile(path.join(content, "lab-hook.json"), JSON.stringify({ url: target, secret })),
    async upload(name, type, bytes, alt) {
      const form = new FormData();
      if (alt !== undefined) form.set("alt_text", alt);
      form.set("file", new Blob([new Uint8Array(bytes)], { type }), name);
      return String(((await ask(media, headers, "POST", form)) as { id: number }).id);
    },
    async words(id) {
      const row = (await ask(`${media}/${id}`, headers, "GET")) as { readonly alt_text: string };
      return { alt: row.alt_text, tags: [] };
    },
    async retitle(id, alt) {
      await ask(`${media}/${id}`, headers, "POST", { alt_text: alt });
    },
    async replace(id, name, type, bytes) {
      const to = `${url}/wp-json/lab/v1/replace/${id}?name=${name}`;
      const body = new Uint8Array(bytes);
      const sent = { method: "POST", headers: { ...headers, "content-type": type }, body };
      const response = await fetch(to, sent);
      if (!response.ok) throw new Error(`replace: ${response.status} ${await response.text()}`);
    },
    async stop() {
      await running.stop();
      await rm(state, { recursive: true, force: true });
    },
  };
};
