// `npm run licences`: writes docs/licences.md. With --texts: prints the licence texts of what ships instead.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { licencesPage, readDependencies, type Dependency } from "./licences.ts";

const root = path.dirname(import.meta.dirname);

function textsOf({ name, version, licence, folder }: Dependency): string {
  const files = readdirSync(path.join(root, folder)).filter((file) =>
    /^(licen[cs]e|notice|thirdparty)/i.test(file),
  );
  const texts = files.map((file) => readFileSync(path.join(root, folder, file), "utf8").trim());
  return [`${name} ${version} (${licence})`, ...texts].join("\n\n");
}

const dependencies = readDependencies(root);
if (process.argv.includes("--texts")) {
  const shipped = dependencies.filter(({ shipsWith }) => shipsWith.length > 0);
  process.stdout.write(`${shipped.map(textsOf).join(`\n\n${"-".repeat(79)}\n\n`)}\n`);
} else {
  const file = path.join(root, "docs/licences.md");
  writeFileSync(file, licencesPage(dependencies));
  // In columns, as all pages are.
  execFileSync(path.join(root, "node_modules/.bin/oxfmt"), [file], { stdio: "ignore" });
}
