import { describe, expect, test } from "vitest";
import { announcedOrigin, readAllowedOrigin, type AllowedOrigin } from "./announcers.ts";

const allow = (...entries: string[]): AllowedOrigin[] =>
  entries.map((entry) => {
    const origin = readAllowedOrigin(entry);
    if (origin === undefined) throw new Error(entry);
    return origin;
  });

test.each([
  "a",
  "a=",
  "=https://x",
  "a=ftp://x",
  "a=https://x/path",
  "a=https://x?y",
  "a=https://u@x",
  "a=https://*",
  "a=https://x.*.y",
  "a=https://x:p",
  "a b=https://x",
])("%s is no allowed origin", (entry) => {
  expect(readAllowedOrigin(entry)).toBeUndefined();
});

describe("a key may announce", () => {
  const allowed = allow(
    "one=https://gpu-1.example.com",
    "many=https://*.gpu.example.com:8443",
    "local=http://127.0.0.1:*",
    "six=http://[fd00::1]:8080",
  );
  test.each([
    ["one", "https://gpu-1.example.com", "https://gpu-1.example.com"],
    ["one", "https://GPU-1.example.com:443/", "https://gpu-1.example.com"],
    ["many", "https://x7.gpu.example.com:8443", "https://x7.gpu.example.com:8443"],
    ["local", "http://127.0.0.1:9", "http://127.0.0.1:9"],
    ["local", "http://127.0.0.1", "http://127.0.0.1"],
    ["six", "http://[fd00::1]:8080", "http://[fd00::1]:8080"],
  ])("%s: %s", (keyId, url, origin) => {
    expect(announcedOrigin(allowed, keyId, url)).toBe(origin);
  });

  test.each([
    ["one", "http://gpu-1.example.com"],
    ["one", "https://gpu-1.example.com:444"],
    ["one", "https://gpu-1.example.com.evil.test"],
    ["one", "https://gpu-2.example.com"],
    ["one", "https://x.gpu-1.example.com"],
    ["one", "https://gpu-1.example.com/path"],
    ["one", "https://gpu-1.example.com/?q"],
    ["one", "https://gpu-1.example.com/#h"],
    ["one", "https://u:p@gpu-1.example.com"],
    ["one", "https://x7.gpu.example.com:8443"],
    ["two", "https://gpu-1.example.com"],
    ["many", "https://gpu.example.com:8443"],
    ["many", "https://a.b.gpu.example.com:8443"],
    ["many", "https://x7.gpu.example.com"],
    ["many", "https://gpu-1.example.com"],
    ["local", "https://127.0.0.1:9"],
    ["local", "http://127.0.0.2:9"],
    ["local", "http://localhost:9"],
    ["local", "not a url"],
  ])("%s not %s", (keyId, url) => {
    expect(announcedOrigin(allowed, keyId, url)).toBeUndefined();
  });
});
