import { expect, test } from "vitest";
import { parseNodeConfig } from "./config.ts";

const secret = "0123456789abcdef0123456789abcdef";
const keys = `a:${secret}`;

test("defaults are filled in and the result is frozen", () => {
  const config = parseNodeConfig({ model: ["m"], keys });
  expect(config).toMatchObject({ host: "127.0.0.1", port: 0, threads: 0, "max-queue": 256 });
  expect(config.keys[0]?.id).toBe("a");
  expect(Object.isFrozen(config)).toBe(true);
});

test("two keys live at once, the first first", () => {
  const pairs = parseNodeConfig({ model: ["m"], keys: `new:${secret},old:${secret}` });
  expect(pairs.keys.map((key) => key.id)).toEqual(["new", "old"]);
});

test("all faults stand in one message", () => {
  const wrong = { model: [], port: "70000", threads: "two", "max-queue": "-1" };
  expect(() => parseNodeConfig(wrong)).toThrow(
    /--model: .*--port: .*--threads: not a whole number; --max-queue: .*keys: none given/,
  );
});

test("a provider is one of three", () => {
  expect(parseNodeConfig({ model: ["m"], keys }).provider).toBe("cpu");
  expect(parseNodeConfig({ model: ["m"], keys, provider: "webgpu" }).provider).toBe("webgpu");
  expect(() => parseNodeConfig({ model: ["m"], keys, provider: "tensorrt" })).toThrow(
    /--provider: not one of cpu, webgpu, cuda/,
  );
});

test("a secret is never repeated", () => {
  for (const text of [`a:${secret.slice(0, 12)}`, `{"a":"${secret}"}`]) {
    let message = "";
    try {
      parseNodeConfig({ model: ["m"], keys: text });
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/keys: /);
    expect(message).not.toContain(secret.slice(0, 12));
  }
});
