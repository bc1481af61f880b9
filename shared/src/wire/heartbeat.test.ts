import { expect, test } from "vitest";
import golden from "./golden/heartbeat-1.json" with { type: "json" };
import {
  heartbeatPath,
  heartbeatResponseSchema,
  heartbeatSchema,
  heartbeatTag,
} from "./heartbeat.ts";
import { createVerifier, parseSigningKeys } from "./signature.ts";

const { signed } = golden;
const verify = (tag?: string) =>
  createVerifier({
    keys: parseSigningKeys(`other:${"o".repeat(32)}`).concat({
      id: signed.key.id,
      secret: new TextEncoder().encode(signed.key.secret),
    }),
    now: () => signed.now_ms,
    ...(tag === undefined ? {} : { tag }),
  }).identify(
    {
      method: signed.method,
      url: `https://edge.example.com${signed.path}`,
      headers: new Headers(signed.headers),
    },
    () => new TextEncoder().encode(signed.body),
  );

test("the golden heartbeat is read as it was written, and tells who has signed it", async () => {
  expect(heartbeatPath).toBe(signed.path);
  const { body, keyId } = await verify(heartbeatTag);
  expect(keyId).toBe("gpu-1");
  const text = new TextDecoder().decode(body);
  expect(heartbeatSchema.parse(JSON.parse(text))).toEqual(golden.heartbeat);
  expect(heartbeatResponseSchema.parse(golden.response)).toEqual(golden.response);
});

test("it is no request to a node, however well signed", async () => {
  await expect(verify()).rejects.toMatchObject({
    code: "signature_invalid",
    internal: "the tag is another one",
  });
});

test("a newer node may say more", () => {
  const [model] = golden.heartbeat.models;
  const newer = { ...golden.heartbeat, mood: "good", models: [{ ...model, taste: "salty" }] };
  expect(heartbeatSchema.parse(newer)).toEqual(golden.heartbeat);
});
