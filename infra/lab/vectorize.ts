// `npm run lab:vectorize`: the suite of every index (test/support/image-index-suite.ts) on a real Cloudflare account, whose
// id and token are CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN (permission: Vectorize, edit). Makes an index of its own and
// deletes it. A write shows after seconds, and the suite waits for each: it takes some ten minutes and a few thousand calls.
import { randomBytes } from "node:crypto";
import process from "node:process";
import { startVitest } from "vitest/node";
import { createIndex, deleteIndex } from "./vectorize-rest.ts";

const { CLOUDFLARE_ACCOUNT_ID: account, CLOUDFLARE_API_TOKEN: token } = process.env;
if (account === undefined || token === undefined) {
  console.error(
    "Set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN (permission: Vectorize, edit).",
  );
  process.exit(2);
}
/** Numbers of the suite's vectors. */
const dimensions = 16;
const timeoutMs = 1_800_000;
const name = `blip2-suite-${randomBytes(4).toString("hex")}`;
const at = { account, token };

await createIndex(at, name, dimensions);
console.error(`made the index ${name}`);
try {
  process.env["BLIP2_VECTORIZE_INDEX"] = name;
  const vitest = await startVitest([], {
    config: false,
    include: ["infra/lab/vectorize-suite.ts"],
    testTimeout: timeoutMs,
    watch: false,
  });
  await vitest.close();
} finally {
  await deleteIndex(at, name);
  console.error(`deleted the index ${name}`);
}
