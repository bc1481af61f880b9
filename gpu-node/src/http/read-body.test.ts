import { expect, test } from "vitest";
import { readBody } from "./read-body.ts";

const limits = { maxBytes: 8, timeoutMs: 50 };
const post = (
  body: ReadableStream<Uint8Array> | string,
  init: { readonly headers?: Record<string, string>; readonly signal?: AbortSignal } = {},
): Request => new Request("http://node/", { method: "POST", body, duplex: "half", ...init });
const declared = (bytes: number) => ({ headers: { "content-length": String(bytes) } });
/** Gives its bytes and then does what `then` says. */
const stream = (then: (controller: ReadableStreamDefaultController<Uint8Array>) => void) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array(4));
      then(controller);
    },
  });

test("a body within its bounds is read, whether it says its length or not", async () => {
  expect(await readBody(post("12345678", declared(8)), limits)).toHaveLength(8);
  expect(await readBody(post(stream((body) => body.close())), limits)).toHaveLength(4);
  expect(await readBody(new Request("http://node/"), limits)).toHaveLength(0);
});

test("one that is too large is refused by what it says, and else by what comes", async () => {
  for (const request of [post("1", declared(9)), post("123456789")]) {
    await expect(readBody(request, limits)).rejects.toMatchObject({ code: "body_too_large" });
  }
});

test("one that does not come in time is a timeout", async () => {
  const request = post(stream(() => {}));
  await expect(readBody(request, limits)).rejects.toMatchObject({ code: "request_timeout" });
});

test("one that breaks off is a caller that left, also where the stream ends as if all had come", async () => {
  const left = AbortSignal.abort();
  for (const request of [
    post(stream((body) => body.error(new Error("reset")))),
    post(
      stream((body) => body.close()),
      declared(8),
    ),
    new Request("http://node/", { method: "POST", body: "1234", signal: left }),
  ]) {
    await expect(readBody(request, limits)).rejects.toMatchObject({ code: "canceled" });
  }
});
