import { expect, test } from "vitest";
import { createApiKey } from "./auth/api-key.ts";
import { describeError, redact, writeEvent } from "./log.ts";

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
  const grant = `grt_${"0a".repeat(16)}`;
  expect(redact(`of ${grant}: over; ${grant}:own:s-e_c`)).toBe(
    `of ${grant}: over; ${grant}:[secret]`,
  );
  expect(redact("x".repeat(5000))).toHaveLength(2000);
  expect(redact("at ftp://u:p@h.example/ and HTTP:\\\\u@h.example")).toBe(
    "at ftp://[secret]@h.example/ and HTTP:\\\\[secret]@h.example",
  );
  expect(redact('"data:image/png;base64,AAAA"')).toBe('"data:[data]"');
});

test("lists are looked through too, and a parser's words are left out", () => {
  const lines: string[] = [];
  writeEvent({ list: ["a", "Bearer abc"] }, (line) => lines.push(line));
  expect(lines).toEqual(['{"list":["a","Bearer [secret]"]}']);
  const cause = new SyntaxError('Unexpected token, "my question" is not valid JSON');
  expect(describeError(new Error("outer", { cause }))).toBe("Error: outer <- SyntaxError");
});
