// The client of the REST API before one that answers out of the stand-in, in the API's envelope.
import { expect, test } from "vitest";
import { vectorizeStandIn } from "../../test/support/vectorize-stand-in.ts";
import { createIndex, vectorizeOverRest } from "./vectorize-rest.ts";

const standIn = vectorizeStandIn(2);
const asked: string[] = [];

async function answer(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  const { pathname } = new URL(request.url);
  asked.push(`${request.method} ${pathname} ${request.headers.get("authorization")}`);
  const operation = pathname.split("/").at(-1) ?? "";
  const text = await request.text();
  const json = () => JSON.parse(text) as never;
  const work: Record<string, () => Promise<unknown>> = {
    async query() {
      const { vector, ...options } = json() as { vector: number[]; topK: never };
      return standIn.query(vector, options as never);
    },
    upsert: async () => standIn.upsert(text.split("\n").map((line) => JSON.parse(line) as never)),
    delete_by_ids: async () => standIn.deleteByIds((json() as { ids: string[] }).ids),
    get_by_ids: async () => standIn.getByIds((json() as { ids: string[] }).ids),
    info: () => standIn.describe(),
    indexes: async () => json(),
  };
  try {
    const result = await work[operation]?.();
    return Response.json({ success: true, result, errors: [], messages: [] });
  } catch (error) {
    const errors = [{ code: 40_000, message: String(error) }];
    return Response.json({ success: false, result: null, errors }, { status: 400 });
  }
}

const account = { account: "acc", token: "secret", fetch: answer };

test("the methods of the binding over the REST API", async () => {
  const index = vectorizeOverRest(account, "blip2");
  const vector = { id: "a-1", namespace: "a-0", values: [1, 0] };
  const { mutationId } = await index.upsert([vector, { ...vector, id: "a-2", values: [0, 1] }]);
  expect(await index.getByIds(["a-1"])).toEqual([]);
  standIn.process();
  expect(await index.describe()).toMatchObject({
    ...{ dimensions: 2, processedUpToMutation: mutationId },
  });
  const none = { returnValues: false, returnMetadata: "none" } as const;
  const found = await index.query([0, 2], { topK: 1, namespace: "a-0", ...none });
  expect(found.matches).toMatchObject([{ id: "a-2" }]);
  await index.deleteByIds(["a-2"]);
  standIn.process();
  expect(await index.getByIds(["a-1", "a-2"])).toMatchObject([{ id: "a-1" }]);
  expect(asked.at(-1)).toBe(
    "POST /client/v4/accounts/acc/vectorize/v2/indexes/blip2/get_by_ids Bearer secret",
  );
  const many = Array.from({ length: 101 }, (_, at) => `a-${at}`);
  await expect(index.deleteByIds(many)).rejects.toThrow(/400 .*too many ids.*code = 40000/);
});

test("makes an index for cosines", async () => {
  expect(await createIndex(account, "new", 16)).toEqual({
    ...{ name: "new", config: { dimensions: 16, metric: "cosine" } },
  });
});
