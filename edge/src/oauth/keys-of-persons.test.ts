import { expect, test } from "vitest";
import { keyOfPerson, readKeyOfPersons } from "./keys-of-persons.ts";

const entries = ["*@example.com=k1", "Ada@Example.com=k2", "*@sub.example.com=k3"].flatMap(
  (entry) => readKeyOfPersons(entry) ?? [],
);

test("a person's own entry goes before that of the domain; a domain's others are no part of it", () => {
  expect(keyOfPerson(entries, "ada@example.com")).toBe("k2");
  expect(keyOfPerson(entries, "bob@example.com")).toBe("k1");
  expect(keyOfPerson(entries, "bob@sub.example.com")).toBe("k3");
  expect(keyOfPerson(entries, "bob@example.com.evil.example")).toBeUndefined();
  expect(keyOfPerson(entries, "bob@evil-example.com")).toBeUndefined();
  expect(keyOfPerson(entries, '"x@example.com"@evil.example')).toBeUndefined();
  expect(keyOfPerson(entries, "*@example.com")).toBe("k1");
});

test.each([
  "",
  "ada",
  "ada@example.com",
  "ada@example.com=",
  "@example.com=k",
  "*=k",
  "a@b=k-1",
  "a@*=k",
])("%s is no entry", (entry) => expect(readKeyOfPersons(entry)).toBeUndefined());
