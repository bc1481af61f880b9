// What the hook for Payload sends is what the adapter believes, at the time and for the changes that it should be.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { payload } from "../../../edge/src/webhooks/adapters/payload.ts";
import { notifyBlip2Edge } from "./notify-blip2-edge.ts";

const secret = `whsec_${Buffer.from("the webhook secret of the tests!").toString("base64")}`;
const calls: { readonly headers: Headers; readonly body: Uint8Array<ArrayBuffer> }[] = [];
const answers: number[] = [];
const server = http.createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const headers = new Headers(request.headers as Record<string, string>);
    calls.push({ headers, body: new Uint8Array(Buffer.concat(chunks)) });
    response.writeHead(answers.shift() ?? 200).end();
  });
});
let url: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/webhooks/con_1`;
});
beforeEach(() => void calls.splice(0));
afterAll(() => void server.close());

const upload = {
  id: 7,
  filename: "a.png",
  mimeType: "image/png",
  filesize: 9,
  width: 3,
  height: 2,
};
const logged: string[] = [];
const requestOf = () => ({
  payload: { logger: { error: (what: string) => void logged.push(what) } },
});
/** All that the hook does after it has returned. */
async function changed(change: Parameters<ReturnType<typeof notifyBlip2Edge>>[0]): Promise<void> {
  const works: Promise<void>[] = [];
  const later = (work: () => Promise<void>): void => void works.push(work());
  expect(notifyBlip2Edge({ url, secret, later })(change)).toBe(change.doc);
  await Promise.all(works);
}
const notices = async () =>
  (
    await Promise.all(
      calls.map((call) => payload.verify({ url: new URL(url), ...call }, [secret], Date.now())),
    )
  ).flat();

test("a new upload is told of, with the version that the adapter reads", async () => {
  await changed({ doc: upload, operation: "create", req: requestOf() });
  expect(await notices()).toMatchObject([
    { event: "asset.created", assetId: "7", version: "a.png-9-3x2" },
  ]);
});

test("another file is told of, other words are not", async () => {
  const previousDoc = { ...upload, alt: "one" };
  const edited = { ...upload, alt: "two" };
  await changed({ doc: edited, previousDoc, operation: "update", req: requestOf() });
  expect(calls).toEqual([]);
  const doc = { ...upload, filename: "a-1.png" };
  await changed({ doc, previousDoc, operation: "update", req: requestOf() });
  expect(await notices()).toMatchObject([{ event: "asset.updated", version: "a-1.png-9-3x2" }]);
});

test("nothing is said before the transaction is over", async () => {
  const toldAtLook: number[] = [];
  const request = {
    ...requestOf(),
    get transactionID() {
      toldAtLook.push(calls.length);
      return toldAtLook.length < 4 ? "tx" : undefined;
    },
  };
  await changed({ doc: upload, operation: "create", req: request });
  expect([toldAtLook, calls.length]).toEqual([[0, 0, 0, 0], 1]);
});

test("who cannot be told makes no save fail, and is written to the log without the secret", async () => {
  answers.push(503);
  await changed({ doc: upload, operation: "create", req: requestOf() });
  expect(logged).toEqual(["blip2-edge: upload 7 was not told: Error: status 503"]);
});
