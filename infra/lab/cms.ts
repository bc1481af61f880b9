// `npm run lab:cms -- [directus] [strapi] [wordpress] [payload] [--seed N] [--verbose]`: the whole product before
// real CMSs (real-cms/trial.ts), all of them unless some are named, installed from the package registry on first use.
import { parseArgs } from "node:util";
import { startDirectus } from "./real-cms/directus.ts";
import { startPayload } from "./real-cms/payload.ts";
import { startStrapi } from "./real-cms/strapi.ts";
import { tryRealCms } from "./real-cms/trial.ts";
import { startWordpress } from "./real-cms/wordpress.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "8" },
    verbose: { type: "boolean", default: false },
  },
});
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const log = (text: string): void => {
  if (values.verbose) process.stderr.write(text);
};
const starters = {
  directus: startDirectus,
  strapi: startStrapi,
  wordpress: startWordpress,
  payload: startPayload,
} as const;
const known = Object.keys(starters) as (keyof typeof starters)[];
const unknown = positionals.filter((name) => !(name in starters));
if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: there is ${known.join(", ")}`);

let count = 0;
for (const kind of known.filter((name) => positionals.length === 0 || positionals.includes(name))) {
  count += (await tryRealCms(starters[kind], { seed: Number(values.seed), say, log })).length;
}
say(count === 0 ? "all as it should be" : `${count} faults`);
process.exitCode = count === 0 ? 0 : 1;
