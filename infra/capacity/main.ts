// `npm run capacity -- --profile FILE --mix FILE --rate N`: how many nodes a mix of requests needs, and what it costs, from
// what was measured of one node. docs/capacity.md says what every figure means and how far they were off.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { costAt } from "./cost.ts";
import { hitRate } from "./hit-rate.ts";
import { readProfile } from "./node-profile.ts";
import { costTable, drawCosts, reportTable } from "./page-figures.ts";
import { captionMs, capacityOfOne, defaultBounds, nodesFor } from "./plan.ts";
import { pricesFrom, publishedPrices } from "./prices.ts";
import { requestMixSchema } from "./request-mix.ts";
import { type Load, simulate } from "./simulate.ts";

const usage = `Usage: npm run capacity -- --profile FILE --mix FILE [--rate N | --callers N] [--nodes N] [--table] [--svg FILE]
  --profile FILE     what blip2 bench wrote, or a node profile (infra/capacity/profiles)
  --mix FILE         what is asked (infra/capacity/mixes)
  --rate N           requests a second; the fewest nodes for them are looked for
  --callers N        instead: so many that each wait for their answer
  --nodes N          with --rate or --callers: simulates just so many
  --table            nodes and costs from 1 to 10,000 requests a second
  --svg FILE         draws the table
  --p99-ms N         of all requests, at most (${defaultBounds.p99Ms})
  --failing N        part that may be refused (${defaultBounds.failing})
  --requests N       of each simulation (1500)
  --box-price N      of one machine, a month (500)
  --prices FILE      in the place of prices.json, or of some of its units
  --places N         with a cache of their own (20)
  --isolates N       that ask nodes, in a simulation (4)
  --ttl-days N       that results live (30)
  --hit-ms, --far-ms, --miss-ms, --to-node-ms N   what the edge takes (10, 30, 60, 20)
  --hit-cpu-ms, --miss-cpu-ms N                   of the Worker (1, 60)
  --timeout-s N      after which nobody waits any more (60)
  --spare N          nodes more than are needed (1)
  --seed N`;

const numbers = {
  "p99-ms": defaultBounds.p99Ms,
  failing: defaultBounds.failing,
  requests: 1500,
  "box-price": 500,
  places: 20,
  isolates: 4,
  "ttl-days": 30,
  "hit-ms": 10,
  "far-ms": 30,
  "miss-ms": 60,
  "to-node-ms": 20,
  "hit-cpu-ms": 1,
  "miss-cpu-ms": 60,
  "timeout-s": 60,
  spare: 1,
  seed: 1,
} as const;
type NumberName = keyof typeof numbers;

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: {
    ...{
      profile: text,
      mix: text,
      rate: text,
      callers: text,
      nodes: text,
      svg: text,
      prices: text,
    },
    table: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    ...(Object.fromEntries(Object.keys(numbers).map((name) => [name, text])) as Record<
      NumberName,
      typeof text
    >),
  },
});

const amount = z.coerce.number().min(0);
const number = (name: NumberName): number => amount.parse(values[name] ?? numbers[name]);
const positive = (value: string | undefined): number | undefined =>
  value === undefined ? undefined : z.coerce.number().positive().parse(value);
function json(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new RangeError(`${file} is no JSON file: ${(error as Error).message}`);
  }
}

const nodesIn = (count: number): string => `${count} node${count === 1 ? "" : "s"}`;
const mostBefore = 1_000_000;
const mostRequests = 20_000;
const rates = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000];

async function run(profileFile: string, mixFile: string): Promise<void> {
  const profile = readProfile(json(profileFile));
  const mix = requestMixSchema.parse(json(mixFile));
  const prices = values.prices === undefined ? publishedPrices : pricesFrom(json(values.prices));
  const [rate, callers] = [positive(values.rate), positive(values.callers)];
  const nodes = positive(values.nodes) ?? (callers === undefined ? undefined : 1);
  const fixed = {
    ...{
      profile,
      mix,
      seed: number("seed"),
      isolates: number("isolates"),
      requests: number("requests"),
      timeoutMs: number("timeout-s") * 1000,
    },
    edge: {
      hitMs: number("hit-ms"),
      farMs: number("far-ms"),
      missMs: number("miss-ms"),
      toNodeMs: number("to-node-ms"),
    },
  };
  const bounds = { p99Ms: number("p99-ms"), failing: number("failing") };
  console.log(`Node: ${profile.source}`);
  console.log(`Bounds: p99 within ${bounds.p99Ms} ms, ${bounds.failing * 100} % may fail\n`);

  if (nodes !== undefined && (rate ?? callers) !== undefined) {
    const load: Load =
      callers === undefined ? { kind: "open", perS: rate ?? 1 } : { kind: "closed", callers };
    // Of callers nobody knows how fast they will be: as long as so many captions one after another.
    const seconds = fixed.requests / (rate ?? 1000 / captionMs(profile, mix));
    console.log(
      reportTable([[nodesIn(nodes), await simulate({ ...fixed, nodes, load, seconds })]]),
    );
    return;
  }
  const one = await capacityOfOne(fixed, bounds);
  console.log(`One node keeps the bounds up to ${one.perS.toPrecision(3)} requests a second,`);
  console.log(`${one.callsPerS.toPrecision(3)} of which reach it:\n`);
  console.log(reportTable([[nodesIn(1), one.report]]));
  if (rate !== undefined) {
    const ttlS = number("ttl-days") * 86_400;
    const missed = 1 - hitRate(mix, rate, ttlS);
    const found = await nodesFor(
      rate,
      {
        ...fixed,
        places: number("places"),
        // Caches as they are after their time, and enough requests that nodes hear of some.
        before: Math.min(mostBefore, Math.round(rate * ttlS)),
        requests: Math.min(mostRequests, Math.ceil(fixed.requests / missed)),
      },
      bounds,
    );
    console.log(`\n${nodesIn(found.nodes)} for ${rate} requests a second, with full caches:\n`);
    console.log(reportTable([[nodesIn(found.nodes), found.report]]));
  }
  if (!values.table) return;
  const rows = rates.map((perS) =>
    costAt(perS, {
      ...{ mix, prices, callsPerNode: one.callsPerS, boxPrice: number("box-price") },
      ...{
        ttlS: number("ttl-days") * 86_400,
        places: number("places"),
        spareNodes: number("spare"),
      },
      cpuMs: { hit: number("hit-cpu-ms"), miss: number("miss-cpu-ms") },
      liveS: one.report.liveMs.p50 / 1000,
    }),
  );
  console.log(
    `\n${prices.currency}, Cloudflare's list prices of ${prices.as_of}, ${number("box-price")} a box:\n`,
  );
  console.log(costTable(rows));
  if (values.svg !== undefined) {
    const names = [mixFile, profileFile].map((file) => path.basename(file, ".json"));
    writeFileSync(values.svg, drawCosts(rows, names.join(", ")));
  }
}

if (values.help || values.profile === undefined || values.mix === undefined) {
  console.log(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  try {
    await run(values.profile, values.mix);
  } catch (error) {
    if (!(error instanceof z.ZodError || error instanceof RangeError)) throw error;
    console.error(error instanceof z.ZodError ? z.prettifyError(error) : error.message);
    process.exitCode = 2;
  }
}
