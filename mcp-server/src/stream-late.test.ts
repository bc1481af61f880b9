import { expect, test } from "vitest";
import { streamLate } from "./stream-late.ts";

const now = { afterMs: 0, beatMs: 5 };
const json = () => Response.json({ id: 1 }, { status: 404 });
const never = new Promise<Response>(() => {});
const unread = (): void => {
  throw new Error("nobody left");
};

test("what is there at once stays as it is, its status too", async () => {
  const answered = json();
  const options = { afterMs: 10_000, beatMs: 10_000, onLeft: unread };
  expect(await streamLate(Promise.resolve(answered), options)).toBe(answered);
});

test("what is late is the last event of a stream with comments", async () => {
  const answering = Promise.withResolvers<Response>();
  const response = await streamLate(answering.promise, { ...now, onLeft: unread });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const chunks: string[] = [];
  for await (const bytes of response.body ?? []) {
    chunks.push(new TextDecoder().decode(bytes));
    if (chunks.length === 2) answering.resolve(json());
  }
  expect(chunks.slice(0, 2)).toEqual([": at it\n\n", ": still at it\n\n"]);
  expect(chunks.at(-1)).toBe('event: message\ndata: {"id":1}\n\n');
});

test("a late stream goes on within the stream", async () => {
  const answering = Promise.withResolvers<Response>();
  const response = await streamLate(answering.promise, { ...now, onLeft: unread });
  const headers = { "content-type": "text/event-stream" };
  answering.resolve(new Response("event: message\ndata: {}\n\n", { headers }));
  expect(await response.text()).toMatch(
    /^: [^\n]*\n\n(: [^\n]*\n\n)*event: message\ndata: \{\}\n\n$/,
  );
});

test("who leaves is noticed, and an answer that fails is no answer", async () => {
  const left = Promise.withResolvers<void>();
  const response = await streamLate(never, { ...now, onLeft: left.resolve });
  await response.body?.cancel();
  await left.promise;
  const failed = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<Response>();
  const broken = await streamLate(gone.promise, { ...now, onLeft: failed.resolve });
  gone.reject(new Error("closed"));
  await failed.promise;
  await expect(broken.text()).rejects.toThrow();
});
