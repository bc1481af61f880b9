import { expect, test } from "vitest";
import { isFetchAllowed } from "./fetch-allow.ts";

const allowed = (url: string, ...patterns: string[]) => isFetchAllowed(new URL(url), patterns);

test.each([
  ["https://example.com/a", "example.com"],
  ["https://example.com./a", "example.com"],
  ["http://example.com:8080/a", "Example.COM"],
  ["https://example.com/a", "example.com:443"],
  ["http://example.com:8080/a", "example.com:8080"],
  ["https://a.example.com/a", "*.example.com"],
  ["https://a.b.example.com/a", "*.example.com"],
  ["https://a.example.com:8443/a", "*.example.com:8443"],
  ["https://bücher.example/a", "bücher.example"],
  ["https://bücher.example/a", "xn--bcher-kva.example"],
  ["http://93.184.216.34/a", "93.184.216.34"],
  ["http://[2606:2800:220:1::1]:8080/a", "[2606:2800:220:1::1]:8080"],
])("%s is within %s", (url, pattern) => {
  expect(allowed(url, "other.example", pattern)).toBe(true);
});

test.each([
  ["https://example.com/a", "example.org"],
  ["https://a.example.com/a", "example.com"],
  ["https://example.com/a", "*.example.com"],
  ["https://notexample.com/a", "*.example.com"],
  ["https://example.com.evil.example/a", "example.com"],
  ["http://example.com/a", "example.com:443"],
  ["http://example.com:8080/a", "example.com:80"],
  ["https://example.com/a", "*"],
  ["https://example.com/a", "*.*"],
  ["https://example.com/a", ""],
  ["https://example.com/a", "https://example.com"],
  ["https://example.com/a", "example.com/a"],
  ["https://example.com/a", "user@example.com"],
  ["https://example.com/a", "example.com:x"],
  ["https://example.com/a", "exa mple.com"],
])("%s is not within %j", (url, pattern) => {
  expect(allowed(url, pattern)).toBe(false);
});

test("no pattern is no limit", () => {
  expect(allowed("https://example.com/a")).toBe(true);
});
