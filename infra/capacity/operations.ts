// What one request costs at Cloudflare, in billed units: counted on the Worker itself (operations.test.ts holds this table
// to what it does over bindings that write down every call). A file that nobody has sent before is the dearest way; one
// that is asked about by URL or image_id writes less.
import type { Amounts } from "./prices.ts";

/** Found in the cache of the place, or in the isolate: nothing is asked but the Worker. */
const near: Amounts = { worker_requests: 1 };
/** Found in KV: the file's digest and the result are read. */
const far: Amounts = { worker_requests: 1, kv_reads: 2 };
/** Not found: looked for in KV, written there; the pixels, their mark and the thumbnail kept in R2; the meter's two calls and the lease's two. */
const miss: Amounts = {
  worker_requests: 1,
  kv_reads: 2,
  kv_writes: 2,
  r2_writes: 3,
  do_requests: 4,
  sqlite_rows_written: 4,
};
/** The namespace's object ranks; its rows are read from memory. */
const search: Amounts = { do_requests: 1 };

export const operations = { near, far, miss, search } as const;

/** Memory that a Durable Object is billed for while it is at work. */
export const objectGb = 0.128;
