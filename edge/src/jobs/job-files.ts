// What of a job lies in R2: one file with the requests of all its items, read item by item as ranges, and one
// object for each result. A result is written before it is recorded, under the lease that records it, so that
// neither a repeated message nor a Worker that dies leaves half of one behind (docs/decisions/0108).
import type { JobItem } from "@blip2-edge/shared/contracts/jobs";

/** What this room needs of R2. */
export interface FileStore {
  put(key: string, value: string | Uint8Array): Promise<unknown>;
  get(
    key: string,
    options?: { readonly range: { readonly offset: number; readonly length: number } },
  ): Promise<{ text(): Promise<string> } | null>;
  list(options: { readonly prefix: string; readonly limit: number }): Promise<{
    readonly objects: readonly { readonly key: string }[];
    readonly truncated: boolean;
  }>;
  delete(keys: string | string[]): Promise<void>;
}

export interface JobFile {
  readonly bytes: Uint8Array;
  /** Of each item, in their order. */
  readonly ranges: readonly { readonly at: number; readonly bytes: number }[];
}

export interface JobFiles {
  putItems(tenant: string, jobId: string, file: JobFile): Promise<void>;
  /** Undefined when the file is gone. */
  getItem(tenant: string, jobId: string, at: number, bytes: number): Promise<unknown>;
  /** Resolves to its length in bytes. */
  putResult(
    tenant: string,
    jobId: string,
    n: number,
    lease: string,
    result: unknown,
  ): Promise<number>;
  getResult(tenant: string, jobId: string, n: number, lease: string): Promise<unknown>;
  dropResult(tenant: string, jobId: string, n: number, lease: string): Promise<void>;
  /** The pictures that came with a job are not kept longer than it takes. */
  dropItems(tenant: string, jobId: string): Promise<void>;
  dropAll(tenant: string, jobId: string): Promise<void>;
}

const keysPerPage = 1000;
const folder = (tenant: string, jobId: string): string => `jobs/t:${tenant}/${jobId}/`;
const itemsKey = (tenant: string, jobId: string): string => `${folder(tenant, jobId)}items`;
const resultKey = (tenant: string, jobId: string, n: number, lease: string): string =>
  `${folder(tenant, jobId)}results/${n}-${lease}`;

/** One JSON text a line. */
export function fileOf(items: readonly JobItem[]): JobFile {
  const encoder = new TextEncoder();
  const lines = items.map(({ image, task, parameters }) =>
    encoder.encode(`${JSON.stringify({ image, task, parameters })}\n`),
  );
  const bytes = new Uint8Array(lines.reduce((sum, line) => sum + line.length, 0));
  let at = 0;
  const ranges = lines.map((line) => {
    bytes.set(line, at);
    const range = { at, bytes: line.length };
    at += line.length;
    return range;
  });
  return { bytes, ranges };
}

export function jobFiles(store: FileStore): JobFiles {
  const parsed = async (object: { text(): Promise<string> } | null): Promise<unknown> =>
    object === null ? undefined : (JSON.parse(await object.text()) as unknown);
  return {
    async putItems(tenant, jobId, { bytes }) {
      await store.put(itemsKey(tenant, jobId), bytes);
    },
    getItem: async (tenant, jobId, offset, length) =>
      parsed(await store.get(itemsKey(tenant, jobId), { range: { offset, length } })),
    async putResult(tenant, jobId, n, lease, result) {
      const bytes = new TextEncoder().encode(JSON.stringify(result));
      await store.put(resultKey(tenant, jobId, n, lease), bytes);
      return bytes.length;
    },
    getResult: async (tenant, jobId, n, lease) =>
      parsed(await store.get(resultKey(tenant, jobId, n, lease))),
    dropResult: (tenant, jobId, n, lease) => store.delete(resultKey(tenant, jobId, n, lease)),
    dropItems: (tenant, jobId) => store.delete(itemsKey(tenant, jobId)),
    async dropAll(tenant, jobId) {
      const prefix = folder(tenant, jobId);
      for (;;) {
        const { objects, truncated } = await store.list({ prefix, limit: keysPerPage });
        if (objects.length > 0) await store.delete(objects.map(({ key }) => key));
        if (!truncated) return;
      }
    },
  };
}
