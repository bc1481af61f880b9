// The flow of `npm run deploy`: what is said, what is wanted, what is there, the plan, its steps, and whether the result
// does what it is for.
import { readEnvironment, withOptions, writeEnvironment } from "./environment.ts";
import type { DeployOptions } from "./options.ts";
import { describe, hostOf, plan, secretsToSet } from "./plan.ts";
import { readThere } from "./read-there.ts";
import { rollback } from "./rollback.ts";
import { dryRunLines, nextLines } from "./say.ts";
import { agreed, liveAt, openScene, tryOut, wantedBy, type DeployIo } from "./scene.ts";
import { carryOut } from "./steps.ts";
import { nothingThere } from "./there.ts";

async function deployIt(options: DeployOptions, io: DeployIo): Promise<number> {
  const scene = await openScene(options, io);
  const { wanted, account, secrets, said } = scene;
  let there = await readThere(account, wanted);
  const steps = plan(wanted, there, secrets.held());
  const host = hostOf(wanted, there) ?? "";
  const live = liveAt(host, io);
  if (steps.length > 0) {
    io.say(`\nTo do for "${options.environment}":`);
    steps.forEach((step, at) => io.say(`  ${at + 1}. ${describe(step)}`));
    await agreed(`Carry out ${steps.length === 1 ? "it" : "them"}?`, options, io);
  }
  if (await writeEnvironment(io.environments, options.environment, said)) {
    io.say(`What you said of it is kept in edge/environments/${options.environment}.json.`);
  }
  if (steps.length === 0) io.say(`Nothing to do: "${options.environment}" is as it should be.`);
  await secrets.make(secretsToSet(wanted, there), wanted.nodeIds);
  const configFile = io.configFile(options.environment);
  const hands = { ...scene, configFile, live };
  for (const [at, step] of steps.entries()) {
    io.signal.throwIfAborted();
    io.say(`${at + 1}/${steps.length} ${describe(step)}`);
    there = await carryOut(step, wanted, there, hands);
  }
  const outcome = await tryOut(live, secrets, io);
  if (outcome === "wrong") {
    io.say(
      "\nThe Worker is deployed and does not do all that it should. npm run deploy -- rollback goes back to the version before.",
    );
    return 1;
  }
  const made = steps.some(({ kind }) => kind === "admin-key");
  const after = { host, said, secrets, made, shown: io.shown, waits: outcome === "waits" };
  for (const line of await nextLines(after)) io.say(line);
  return 0;
}

async function status(options: DeployOptions, io: DeployIo): Promise<number> {
  const { wanted, account, secrets } = await openScene(options, io);
  const there = await readThere(account, wanted);
  const steps = plan(wanted, there, secrets.held());
  const { worker } = there;
  io.say(
    worker === undefined
      ? `There is no Worker ${wanted.names.worker}.`
      : `Worker ${wanted.names.worker}: version ${worker.version}, deployed ${worker.deployedAt}, at https://${hostOf(wanted, there)}`,
  );
  io.say(
    `Database: ${there.database === undefined ? "none" : `${there.database.applied.length} migrations applied`}.`,
  );
  if (steps.length === 0) io.say("Nothing to do.");
  for (const step of steps) io.say(`to do  ${describe(step)}`);
  return steps.length === 0 ? 0 : 1;
}

async function dryRun(options: DeployOptions, io: DeployIo): Promise<number> {
  const said = withOptions(await readEnvironment(io.environments, options.environment), options);
  const wanted = await wantedBy(options, said, io);
  const there = { ...nothingThere, subdomain: options.workersDev ?? "YOUR-NAME" };
  const held = { names: [], nodeIds: [], adminAsked: false, file: "" };
  const steps = plan(wanted, there, held);
  for (const line of dryRunLines(wanted, steps, hostOf(wanted, there) ?? "")) io.say(line);
  return 0;
}

/** The exit status: 0 when all is done, 1 when there is something left or wrong. Throws DeployError. */
export async function deploy(options: DeployOptions, io: DeployIo): Promise<number> {
  if (options.dryRun) return dryRun(options, io);
  return { deploy: deployIt, status, rollback }[options.command](options, io);
}
