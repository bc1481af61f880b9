import { expect, test } from "vitest";
import { urlInLog } from "./url-in-log.ts";

test.each([
  ["https://h.example/a/secret.png?sig=secret#secret", '"https://h.example/…"'],
  ["https://h.example:8080", '"https://h.example:8080"'],
  ["http://127.0.0.1/", '"http://127.0.0.1/"'],
  ["http://secret:secret@h.example/", '"http://[secret]@h.example/"'],
  ["http://secret@secret@h.example/", '"http://[secret]@h.example/"'],
  ["http://secret:se/secret@h.example/", '"http://[secret]@…"'],
  ["http:\\\\secret:secret@h.example\\a", '"http:\\\\\\\\[secret]@h.example\\\\…"'],
  ["http:secret@127.0.0.1/", '"http:[secret]@127.0.0.1/"'],
  ["http:///127.0.0.1/", '"http:///127.0.0.1/"'],
  ["ht\ntp://secret:secret@127.1/", '"ht\\ntp://[secret]@127.1/"'],
  ["//secret:secret@h.example/secret", '"//[secret]@h.example/…"'],
  ["h.example/secret", '"h.example/…"'],
  ["data:image/png;base64,secret", '"data:…"'],
  ["ftp://secret:secret@h.example/", '"ftp:…"'],
  ["  DATA:secret", '"data:…"'],
  ["http://127.0.0.1#@secret", '"http://127.0.0.1#…"'],
  ["secret:secret@h.example", '"[secret]@…"'],
  ["?secret", '"?…"'],
])("%j stands in the log as %s", (url, logged) => {
  expect(urlInLog(url)).toBe(logged);
  expect(urlInLog(url)).not.toMatch(/(?<!\[)secret/);
});

test("is short whatever the URL", () => {
  expect(urlInLog(`http://${"a".repeat(9000)}/`).length).toBeLessThan(250);
});
