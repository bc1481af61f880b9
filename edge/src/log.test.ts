import { expect, test } from "vitest";
import { createApiKey } from "./auth/api-key.ts";
import { redact, writeEvent } from "./log.ts";

test("keys, tokens, credentials and queries are taken out of every field", async () => {
  const { key, id } = await createApiKey();
  const secret = key.slice(-38);
  const lines: string[] = [];
  writeEvent(
    {
      path: `/v1/${key}`,
      cause: `Error: Authorization: Bearer ${key}`,
      internal: `http://u:${key}@h.example/a?token=${key}`,
      status: 200,
      nothing: undefined,
    },
    (line) => lines.push(line),
  );
  const [line] = lines;
  expect(line).not.toContain(secret);
  expect(line).toContain(`b2e_${id}_[secret]`);
  expect(Object.keys(JSON.parse(line ?? "{}"))).toEqual(["path", "cause", "internal", "status"]);
  expect(redact("https://h.example/a?sig=1&b=2 and more")).toBe(
    "https://h.example/a?[query] and more",
  );
  expect(redact("Basic YTpi")).toBe("Basic [secret]");
  expect(redact("x".repeat(5000))).toHaveLength(2000);
});
