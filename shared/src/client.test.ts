import { describe, expect, test } from "vitest";
import { createClient, type ClientOptions } from "./client.ts";
import { AppError, problemResponse } from "./problem.ts";
import { routeList } from "./routes.ts";

const caption = {
  text: "a red cube",
  image_id: `img_${"0".repeat(64)}` as const,
  model: "nano",
  model_revision: "0123456789abcdef",
  log_prob: -0.1,
  finish_reason: "stop",
  usage: { image_tokens: 8, prompt_tokens: 0, completion_tokens: 4 },
};
const image = { url: "https://example.com/a.jpg" };

/** A client whose requests are kept and answered by `answer`, and that does not really wait. */
function withServer(
  answer: (request: Request) => Response | Promise<Response>,
  options: Partial<ClientOptions> = {},
) {
  const requests: Request[] = [];
  const waits: number[] = [];
  const client = createClient({
    url: "https://api.example/base/",
    key: "k-1",
    fetch: async (input, init) => {
      const request = new Request(input, init);
      requests.push(request);
      init?.signal?.throwIfAborted();
      return answer(request);
    },
    sleep: (ms) => Promise.resolve(void waits.push(ms)),
    random: () => 1,
    ...options,
  });
  return { client, requests, waits };
}

const failure = async (promise: Promise<unknown>): Promise<AppError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AppError);
  if (!(error instanceof AppError)) throw error;
  return error;
};

describe("what is sent", () => {
  test("JSON, with the key, under the base path", async () => {
    const { client, requests } = withServer(() => Response.json(caption));
    expect(await client.caption({ image, prompt: "a photo of" })).toEqual(caption);
    const [request] = requests;
    expect(request?.url).toBe("https://api.example/base/v1/caption");
    expect(request?.method).toBe("POST");
    expect(request?.headers.get("authorization")).toBe("Bearer k-1");
    expect(request?.headers.get("content-type")).toBe("application/json");
    expect(await request?.json()).toEqual({ image, prompt: "a photo of" });
  });

  test("bytes as multipart, the rest as the part `request`", async () => {
    const { client, requests } = withServer(() => Response.json(caption));
    const bytes = Uint8Array.of(0xff, 0xd8, 0, 1);
    await client.caption({ image: { bytes }, max_new_tokens: 9 });
    const form = await requests[0]?.formData();
    expect(form?.get("request")).toBe('{"max_new_tokens":9}');
    const part = form?.get("image");
    expect(part).toBeInstanceOf(Blob);
    if (part instanceof Blob) expect(new Uint8Array(await part.arrayBuffer())).toEqual(bytes);
  });

  test("several pictures: files as parts in their order, what has another form beside the rest", async () => {
    const answer = { results: [], succeeded: 0, failed: 0 };
    let attempts = 0;
    const { client, requests } = withServer(() => {
      attempts += 1;
      return attempts === 1
        ? problemResponse(new AppError("overloaded", "", { retryAfterS: 1 }))
        : Response.json(answer);
    });
    const images = [
      { id: "a", image: { bytes: Uint8Array.of(1) }, title: "first" },
      { id: "b", image },
      { id: "c", image: { bytes: Uint8Array.of(2, 3) } },
    ];
    // Asking twice changes nothing, so it is asked again.
    expect(await client.imageBatch({ namespace: "n", images })).toEqual(answer);
    expect(requests.map(({ method, url }) => `${method} ${new URL(url).pathname}`)).toEqual([
      ...["POST /base/v1/namespaces/n/images/batch", "POST /base/v1/namespaces/n/images/batch"],
    ]);
    const form = await requests[1]?.formData();
    const rest = { images: [{ id: "a", title: "first" }, { id: "b", image }, { id: "c" }] };
    expect(form?.get("request")).toBe(JSON.stringify(rest));
    const files = await Promise.all(
      (form?.getAll("image") ?? []).map(async (part) =>
        part instanceof Blob ? [...new Uint8Array(await part.arrayBuffer())] : part,
      ),
    );
    expect(files).toEqual([[1], [2, 3]]);
    await client.imageBatch({ namespace: "n", images: [{ id: "b", image }] });
    expect(await requests[2]?.json()).toEqual({ images: [{ id: "b", image }] });
  });

  test("a query for the form that caches understand", async () => {
    const { client, requests } = withServer(() => Response.json(caption));
    await client.captionByUrl({ url: "https://e.org/a b?c=d&e", max_new_tokens: 9 });
    const url = new URL(requests[0]?.url ?? "");
    expect(requests[0]?.method).toBe("GET");
    expect(Object.fromEntries(url.searchParams)).toEqual({
      url: "https://e.org/a b?c=d&e",
      max_new_tokens: "9",
    });
  });

  test("questions and models", async () => {
    const { usage, image_id, model, model_revision, log_prob } = caption;
    const answer = { question: "what?", answer: "a cube", log_prob, finish_reason: "stop", usage };
    const vqa = { answers: [answer], image_id, model, model_revision };
    const { client, requests } = withServer((request) =>
      request.method === "GET" ? Response.json({ object: "list", data: [] }) : Response.json(vqa),
    );
    expect(await client.vqa({ image, questions: ["what?"] })).toEqual(vqa);
    expect(await client.models()).toEqual({ object: "list", data: [] });
    expect(requests.map(({ url }) => new URL(url).pathname)).toEqual([
      "/base/v1/vqa",
      "/base/v1/models",
    ]);
  });

  test("texts to match, labels, a picture and a text to embed", async () => {
    const { image_id, model, model_revision } = caption;
    const about = { image_id, model, model_revision };
    const answers: Record<string, unknown> = {
      "/base/v1/match": { matches: [{ text: "a", itc: 0.5 }], ...about },
      "/base/v1/classify": { labels: [{ label: "a", score: 1, itc: 0.5 }], ...about },
      "/base/v1/embed": { embedding: [[0.5, 1]], dim: 2, ...about },
    };
    const { client, requests } = withServer(({ url }) =>
      Response.json(answers[new URL(url).pathname]),
    );
    const matched = await client.match({ image, texts: ["a"], scores: ["itc"] });
    expect(matched.matches).toEqual([{ text: "a", itc: 0.5 }]);
    const [first] = (await client.classify({ image, labels: ["a"] })).labels;
    expect(first).toEqual({ label: "a", score: 1, itc: 0.5 });
    expect((await client.embed({ image, features: "query" })).embedding).toEqual([[0.5, 1]]);
    await client.embed({ text: "a dog" });
    await client.embed({ image: { bytes: Uint8Array.of(1) } });
    expect(await requests[0]?.json()).toEqual({ image, texts: ["a"], scores: ["itc"] });
    expect(await requests[3]?.json()).toEqual({ text: "a dog" });
    expect((await requests[4]?.formData())?.get("request")).toBe("{}");
  });

  test("fields that the path names travel there, the rest as the route wants", async () => {
    const { client, requests } = withServer(() => Response.json({ keys: [] }));
    const failing = [
      client.keyRotate({ id: "a/b?", overlap_s: 5 }),
      client.keyUpdate({ id: "c", name: "new" }),
      client.keyRevoke({ id: "d" }),
    ];
    for (const call of failing) expect((await failure(call)).code).toBe("api_unexpected");
    expect(await client.keyList({ cursor: "7" })).toEqual({ keys: [] });
    const sent = requests.map(async (request) => [
      `${request.method} ${request.url.slice("https://api.example/base".length)}`,
      await request.text(),
    ]);
    expect(await Promise.all(sent)).toEqual([
      ["POST /v1/keys/a%2Fb%3F/rotate", '{"overlap_s":5}'],
      ["PATCH /v1/keys/c", '{"name":"new"}'],
      ["DELETE /v1/keys/d", ""],
      ["GET /v1/keys?cursor=7", ""],
    ]);
  });

  test("every row of the table has its method, and the compiler knows its request", async () => {
    const { client } = withServer(() => Response.json({ status: "ok" }));
    const asked = routeList.filter(({ media }) => media === undefined).map(({ id }) => id);
    expect(Object.keys(client)).toEqual([...asked, "streams"]);
    expect(await client.health()).toEqual({ status: "ok" });
    // Never called: what the compiler must refuse.
    const wrong = () => [
      // @ts-expect-error a misspelt field
      client.match({ image, text: ["a"] }),
      // @ts-expect-error neither picture nor text
      client.embed({ features: "query" }),
      // @ts-expect-error no picture
      client.caption({ prompt: "a" }),
      // @ts-expect-error a query has no picture
      client.captionByUrl({ image }),
    ];
    expect(wrong).toBeTypeOf("function");
  });
});

describe("what goes wrong is an AppError", () => {
  test("the API's problem, with its faults", async () => {
    const problem = new AppError("invalid_request", "`prompt` is empty.", {
      errors: [{ field: "prompt", message: "is empty" }],
    });
    const { client } = withServer(() => problemResponse(problem));
    expect(await failure(client.caption({ image }))).toMatchObject({
      code: "invalid_request",
      detail: "`prompt` is empty.",
      errors: [{ field: "prompt", message: "is empty" }],
    });
  });

  test("an answer that is not ours", async () => {
    for (const response of [
      () => new Response("<html>502</html>", { status: 502 }),
      () => new Response("not json"),
      () => Response.json({ text: 1 }),
      () => new Response(null, { status: 200 }),
    ]) {
      const { client } = withServer(response);
      expect((await failure(client.caption({ image }))).code).toBe("api_unexpected");
    }
  });

  test("an answer without end is not read to it", async () => {
    let chunks = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        chunks++;
        controller.enqueue(new Uint8Array(1000));
      },
    });
    const { client } = withServer(() => new Response(endless), { maxResponseBytes: 10_000 });
    const error = await failure(client.caption({ image }));
    expect(error).toMatchObject({ code: "api_unexpected" });
    expect(error.detail).toContain("10000 bytes");
    expect(chunks).toBeLessThan(20);
  });

  test("no server", async () => {
    const { client } = withServer(() => Promise.reject(new TypeError("fetch failed")));
    const error = await failure(client.models());
    expect(error).toMatchObject({ code: "api_unreachable" });
    expect(error.detail).toContain("https://api.example");
  });

  test("canceled, or out of time", async () => {
    const { client } = withServer(() => Response.json(caption));
    const canceled = { signal: AbortSignal.abort() };
    expect((await failure(client.caption({ image }, canceled))).code).toBe("canceled");
    const late = { signal: AbortSignal.abort(new DOMException("late", "TimeoutError")) };
    expect((await failure(client.caption({ image }, late))).code).toBe("deadline_exceeded");
  });
});

describe("streams", () => {
  const events = (...lines: string[]) =>
    new Response(lines.map((line) => `${line}\n\n`).join(""), {
      headers: { "content-type": "text/event-stream; charset=utf-8" },
    });
  const text = 'event: text\ndata: {"index":0,"text":"a "}';
  const result = `event: result\ndata: ${JSON.stringify(caption)}`;
  const read = async (answer: Response) => {
    const seen: unknown[] = [];
    const { client, requests } = withServer(() => answer);
    for await (const event of client.streams.caption({ image })) seen.push(event);
    return { seen, requests };
  };

  test("give the texts and the whole answer; other events are passed over", async () => {
    const { seen, requests } = await read(events(text, ": beat", "event: news\ndata: 1", result));
    expect(seen).toEqual([
      { event: "text", index: 0, text: "a " },
      { event: "result", result: caption },
    ]);
    expect(await requests[0]?.json()).toEqual({ image, stream: true });
    expect(requests[0]?.headers.get("accept")).toContain("text/event-stream");
  });

  test("throw the problem, wherever it comes", async () => {
    const busy = () => problemResponse(new AppError("overloaded", "busy", { retryAfterS: 60 }));
    const last = `event: problem\ndata: ${await busy().text()}`;
    expect(await failure(read(busy()))).toMatchObject({ code: "overloaded", retryAfterS: 60 });
    expect(await failure(read(events(text, last)))).toMatchObject({ code: "overloaded" });
  });

  test.each([
    ["an end without a result", events(text)],
    ["a result of another form", events("event: result\ndata: {}")],
    ["a text that is none", events("event: text\ndata: 3")],
    ["a problem that is none", events("event: problem\ndata: {}")],
  ])("%s is not understood", async (_, answer) => {
    expect((await failure(read(answer))).code).toBe("api_unexpected");
  });

  test("a plain answer is the end of a stream as well", async () => {
    const { seen } = await read(Response.json(caption));
    expect(seen).toEqual([{ event: "result", result: caption }]);
  });

  test("leaving the loop cancels the body", async () => {
    let canceled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode(`${text}\n\n`)),
      cancel() {
        canceled = true;
      },
    });
    const headers = { "content-type": "text/event-stream" };
    const { client } = withServer(() => new Response(body, { headers }));
    for await (const event of client.streams.caption({ image })) {
      expect(event.event).toBe("text");
      break;
    }
    expect(canceled).toBe(true);
  });
});

describe("a failure that may pass", () => {
  const busy = (retryAfterS?: number) =>
    problemResponse(
      new AppError("overloaded", "", retryAfterS === undefined ? {} : { retryAfterS }),
    );
  const fails = (times: number, answer: () => Response) => {
    let left = times;
    return () => (left-- > 0 ? answer() : Response.json(caption));
  };

  test("is tried again, not earlier than the API says, each time later", async () => {
    const { client, waits } = withServer(fails(2, () => busy()));
    expect(await client.caption({ image })).toEqual(caption);
    expect(waits).toEqual([500, 1000]);
    const told = withServer(fails(1, () => busy(3)));
    await told.client.caption({ image: { bytes: Uint8Array.of(1, 2) } });
    expect(told.waits).toEqual([3000]);
    // A body can be sent twice.
    expect((await told.requests[1]?.formData())?.get("image")).toBeInstanceOf(Blob);
  });

  test("ends when the retries are used up, or the wait is too long", async () => {
    const often = withServer(() => busy(), { maxRetries: 3 });
    expect((await failure(often.client.caption({ image }))).code).toBe("overloaded");
    expect(often.requests).toHaveLength(4);
    const long = withServer(() => busy(3600));
    expect((await failure(long.client.caption({ image }))).retryAfterS).toBe(3600);
    expect([long.requests.length, long.waits]).toEqual([1, []]);
  });

  test("is final where asking twice makes two, and where it cannot pass", async () => {
    const made = withServer(() => busy());
    await failure(made.client.jobCancel({ id: `job_${"0".repeat(32)}` }));
    const wrong = withServer(() => problemResponse(new AppError("invalid_request", "no")));
    await failure(wrong.client.caption({ image }));
    const foreign = withServer(() => new Response("hello"));
    await failure(foreign.client.caption({ image }));
    expect([made, wrong, foreign].map(({ requests }) => requests.length)).toEqual([1, 1, 1]);
  });

  test("where a thing is made, is tried again under one key", async () => {
    const { client, requests } = withServer(() => busy());
    await failure(client.keyCreate({ name: "a" }));
    await failure(client.keyCreate({ name: "a" }, { idempotencyKey: "mine" }));
    const keys = requests.map(({ headers }) => headers.get("idempotency-key"));
    expect(keys.slice(0, 3)).toEqual([keys[0], keys[0], keys[0]]);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys.slice(3)).toEqual(["mine", "mine", "mine"]);
  });

  test("of the network too; a stream is begun again before its first event only", async () => {
    const { client, requests } = withServer(() => {
      throw new TypeError("fetch failed");
    });
    expect((await failure(client.health())).code).toBe("api_unreachable");
    expect(requests).toHaveLength(3);
    const begins = withServer(fails(1, () => busy()));
    for await (const event of begins.client.streams.caption({ image })) {
      expect(event.event).toBe("result");
    }
    expect(begins.requests).toHaveLength(2);
  });

  test("is not waited for by a caller who leaves, or whose time is over", async () => {
    const leaving = new AbortController();
    const { client } = withServer(() => busy(), {
      sleep: (_, signal) => {
        leaving.abort();
        return Promise.reject(signal?.reason as Error);
      },
    });
    expect((await failure(client.caption({ image }, { signal: leaving.signal }))).code).toBe(
      "canceled",
    );
    const racing = createClient({
      ...{ url: "https://api.example", key: "k", timeoutMs: 5 },
      fetch: (_, init) =>
        new Promise((_resolve, reject) => {
          init?.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error));
        }),
    });
    expect((await failure(racing.caption({ image }))).code).toBe("deadline_exceeded");
  });
});

test("a call can be part of a trace", async () => {
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const { client, requests } = withServer(() => Response.json(caption));
  await client.caption({ image }, { traceparent });
  await client.caption({ image });
  expect(requests.map(({ headers }) => headers.get("traceparent"))).toEqual([traceparent, null]);
});
