// The suite of every index on a real Vectorize index: once before anything is processed, once after all is. Run by
// vectorize.ts, which makes the index, names it in the environment and deletes it.
import { randomBytes } from "node:crypto";
import { env } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { candidateIndex, type CandidateIndex } from "../../edge/src/search/candidate-index.ts";
import { testImageIndex } from "../../test/support/image-index-suite.ts";
import { memoryIndex } from "../../test/support/memory-index.ts";
import { vectorizeOverRest } from "./vectorize-rest.ts";

const at = {
  account: env["CLOUDFLARE_ACCOUNT_ID"] ?? "",
  token: env["CLOUDFLARE_API_TOKEN"] ?? "",
};
const vectors = vectorizeOverRest(at, env["BLIP2_VECTORIZE_INDEX"] ?? "");

async function moved(): Promise<CandidateIndex> {
  const { sql, atomically } = memoryIndex();
  const index = candidateIndex({
    ...{ sql, atomically, vectors, now: Date.now },
    wake: () => {},
    drawPlace: () => randomBytes(16).toString("hex"),
    tell: (event) => console.error(JSON.stringify(event)),
  });
  const outcome = await index.moveCandidates("vectorize");
  if (outcome.kind !== "moving") throw new Error(outcome.kind);
  return index;
}

async function settle(index: CandidateIndex): Promise<void> {
  for (;;) {
    const againMs = await index.pump();
    if (againMs === undefined) return;
    await sleep(againMs);
  }
}

testImageIndex("Vectorize, not waited for", async () => {
  const index = await moved();
  const rank: CandidateIndex["rank"] = async (request) => {
    await index.pump();
    return index.rank(request);
  };
  return { ...index, rank };
});
testImageIndex("Vectorize, waited for before each question", async () => {
  const index = await moved();
  const rank: CandidateIndex["rank"] = async (request) => {
    await settle(index);
    return index.rank(request);
  };
  return { ...index, rank };
});
