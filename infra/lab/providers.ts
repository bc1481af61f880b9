// `npm run lab:providers -- --artifact DIR...`: which operators of each graph ran on the provider and which on the
// CPU, and what was copied between the two for their sake, in the first run of a picture and one text. Prints
// Markdown. For webgpu the driver is the machine's, else chromium's software one (docs/providers.md).
import { parseArgs } from "node:util";
import path from "node:path";
import process from "node:process";
import { isProviderName, runtimeNames } from "../../gpu-node/src/runtime/providers.ts";
import { startProviderProcess } from "../../test/support/provider-answers.ts";
import { webgpuDriver } from "../../test/support/webgpu-driver.ts";

const picture = path.resolve(
  import.meta.dirname,
  "../../gpu-node/nano/samples/two-owls-and-a-lion.png",
);
const usage =
  "usage: npm run lab:providers -- --artifact DIR [--artifact DIR]... [--provider webgpu]";

const { values } = parseArgs({
  options: {
    artifact: { type: "string", multiple: true, default: [] },
    provider: { type: "string", default: "webgpu" },
  },
});
const { artifact: artifacts, provider } = values;
if (artifacts.length === 0 || !isProviderName(provider)) {
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}

const driver = provider === "webgpu" ? await webgpuDriver() : { env: process.env };
if ("missing" in driver) {
  process.stderr.write(`${driver.missing}\n`);
  process.exit(1);
}

const say = (...cells: readonly (string | number)[]): void =>
  void process.stdout.write(`| ${cells.join(" | ")} |\n`);
const counted = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => (count === 1 ? name : `${count} ${name}`))
    .join(", ");

say("artifact", "graph", `on ${provider}`, "on the CPU", "of them", "copies", "bytes copied");
say("---", "---", "---:", "---:", "---", "---:", "---:");
const models = startProviderProcess(driver.env);
try {
  for (const artifact of artifacts) {
    const { placements } = await models.ask({
      artifact: path.resolve(artifact),
      provider,
      picture,
      texts: [null],
      maxNewTokens: 1,
      placements: true,
    });
    for (const [graph, { nodes, elsewhere, copies, copiedBytes }] of Object.entries(placements)) {
      const all = Object.values(nodes).reduce((sum, count) => sum + count, 0);
      const own = nodes[runtimeNames[provider]] ?? 0;
      say(path.basename(artifact), graph, own, all - own, counted(elsewhere), copies, copiedBytes);
    }
  }
} finally {
  models.end();
}
