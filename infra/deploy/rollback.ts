// `npm run deploy -- rollback`: the version before gets the traffic. It is meant for bad moments, so it reads no more of the
// account than it needs, and compares nothing with what lies here.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { DeployError } from "./deploy-error.ts";
import type { DeployOptions } from "./options.ts";
import { hostOf } from "./plan.ts";
import { readDatabase } from "./read-there.ts";
import { agreed, liveAt, openScene, tryOut, type DeployIo, type Scene } from "./scene.ts";
import { nothingThere } from "./there.ts";
import { migrationOf } from "./worker-config.ts";

/** What the database has that a version does not know, and how it would be taken back. */
async function databaseLines(
  { account, wanted }: Scene,
  version: string,
  root: string,
): Promise<string[]> {
  const bindings = await account.bindings(wanted.names.worker, version);
  const last = migrationOf(bindings.find(({ name }) => name === "DEPLOYMENT")?.text ?? "");
  const { database } = wanted.names;
  const id = await account.databaseId(database);
  const applied = id === undefined ? [] : (await readDatabase(account, id)).applied;
  const unknown = last === undefined ? [] : applied.filter((name) => name > last).toSorted();
  if (unknown.length === 0) return ["The database stays as it is."];
  const lines = [
    `The database stays as it is. It has what that version does not know (${unknown.join(", ")}) and does without: ` +
      "migrations only add.",
  ];
  for (const name of unknown.toReversed()) {
    const down = path.join("edge/migrations/down", name);
    const sql = await readFile(path.join(root, down), "utf8").catch(() => "");
    const loses = /^-- (Loses: .*)$/m.exec(sql)?.[1];
    if (loses === undefined) continue;
    lines.push(
      `  To take ${name} back as well, in edge/: npx wrangler d1 execute ${database} --remote --file ../${down}  (${loses})`,
    );
  }
  return lines;
}

export async function rollback(options: DeployOptions, io: DeployIo): Promise<number> {
  const scene = await openScene(options, io);
  const { wanted, account, wrangler, secrets } = scene;
  const { worker } = wanted.names;
  const deployments = (await account.deployments(worker)) ?? [];
  const [current] = deployments;
  const before = deployments.find(({ version }) => version !== current?.version);
  if (current === undefined || before === undefined) {
    throw new DeployError(
      `There is no version of ${worker} before ${current?.version ?? "the first"}.`,
      "Deploy another: npm run deploy.",
    );
  }
  io.say(`Now:  version ${current.version}, deployed ${current.deployedAt}`);
  io.say(`Then: version ${before.version}, deployed ${before.deployedAt}`);
  for (const line of await databaseLines(scene, before.version, io.root)) io.say(line);
  io.say("A version has the secrets that it was deployed with.");
  await agreed("Go back?", options, io);
  await wrangler.rollback(worker, before.version, `Back from ${current.version}`);
  const subdomain = await account.subdomain();
  const live = liveAt(hostOf(wanted, { ...nothingThere, subdomain }) ?? "", io);
  return (await tryOut(live, secrets, io)) === "wrong" ? 1 : 0;
}
