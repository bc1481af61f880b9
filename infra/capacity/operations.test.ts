// What the table of billed operations says is what the Worker does, over bindings that write down every call.
import { expect, test, vi } from "vitest";
import { startFakeNode } from "../../test/support/fake-node.ts";
import { testCodecModules } from "../../test/support/image-codecs.ts";
import { png } from "../../test/support/pictures.ts";
import { workerInProcess } from "../../test/support/worker-in-process.ts";
import { operations } from "./operations.ts";
import type { Amounts } from "./prices.ts";

vi.mock("../../edge/src/images/codecs.ts", () => ({ codecModules: testCodecModules }));

const billed = (calls: readonly string[]): Amounts => {
  const count = (pattern: RegExp): number => calls.filter((call) => pattern.test(call)).length;
  return {
    worker_requests: 1,
    kv_reads: count(/^kv get/),
    kv_writes: count(/^kv put/),
    r2_writes: count(/^r2 put/),
    r2_reads: count(/^r2 (get|head)/),
    do_requests: count(/^(meter|lease) /),
  };
};
/** What is left out of the table is nothing. */
const whole = (amounts: Amounts): Amounts => ({
  ...{ kv_reads: 0, kv_writes: 0, r2_writes: 0, r2_reads: 0, do_requests: 0 },
  ...Object.fromEntries(Object.entries(amounts).filter(([name]) => !name.startsWith("sqlite_"))),
});

test("a file that is new, and the same again", async () => {
  const node = await startFakeNode();
  try {
    const worker = await workerInProcess({ node });
    const key = await worker.keyOf("ada");
    const ask = async (file: Uint8Array<ArrayBuffer>): Promise<Amounts> => {
      const body = new FormData();
      body.set("image", new Blob([file]), "picture");
      worker.calls();
      const headers = { authorization: `Bearer ${key}` };
      const response = await worker.fetch("/v1/caption", { method: "POST", headers, body });
      expect(response.status).toBe(200);
      return billed(worker.calls());
    };
    const [first, file] = [new Uint8Array(await png(30)), new Uint8Array(await png(40))];
    // The first of an isolate asks for the catalogue too.
    await ask(first);
    expect(await ask(file)).toEqual(whole(operations.miss));
    expect(await ask(file)).toEqual(whole(operations.near));
  } finally {
    await node.stop();
  }
});
