// Builds the playground (edge/page) into one module of the Worker: a page in which everything stands, and the
// digests by which its policy names the script and the style. Wrangler runs this before it bundles
// (edge/wrangler.jsonc); it needs nothing but esbuild, which comes with wrangler.
import { createHash } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";

const folder = path.resolve(import.meta.dirname, "../edge/page");
const target = path.resolve(import.meta.dirname, "../edge/src/page/built.js");

/** Zod carries its messages in fifty languages, half of the script; the page speaks one. */
const englishOnly = {
  name: "english-only",
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [path.join(folder, entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: ["chrome123", "firefox120", "safari17.5"],
    charset: "utf8",
    legalComments: "none",
    loader: { ".webp": "binary" },
    plugins: [englishOnly],
    logLevel: "warning",
  });
  return outputFiles[0].text.trim();
}

const sourceOf = (text) => `sha256-${createHash("sha256").update(text).digest("base64")}`;

const [template, script, style] = await Promise.all([
  readFile(path.join(folder, "index.html"), "utf8"),
  bundle("main.ts"),
  bundle("style.css"),
]);
const html = template
  .replaceAll(/^\s+/gm, "")
  .replace(/\s*\/\*style\*\/\s*/, () => style)
  .replace(/\s*\/\*script\*\/\s*/, () => script);
const page = { html, script: sourceOf(script), style: sourceOf(style) };
// Two bundles may be made at once; each file is whole.
await writeFile(`${target}.${process.pid}`, `export const page = ${JSON.stringify(page)};\n`);
await rename(`${target}.${process.pid}`, target);
