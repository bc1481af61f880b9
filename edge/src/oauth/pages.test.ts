import { expect, test } from "vitest";
import { consentPage, nameShown, refusalPage, signInPage, type ClientFacts } from "./pages.ts";

const hostile = `"><img src=x onerror=alert(1)>'&`;
const client: ClientFacts = {
  ...{ name: hostile, domain: hostile, redirectHost: hostile, isLocal: true },
};
const form = { client, handle: hostile, person: hostile, fault: hostile };

test("no page has an element, or an attribute, that a client wrote", () => {
  const pages = [
    signInPage(form),
    consentPage({
      ...{ ...form, who: hostile, scopes: ["infer"], lacking: ["index"] },
      key: { name: hostile, prefix: hostile, tenant: hostile },
    }),
    refusalPage(hostile, hostile),
  ];
  for (const html of pages) {
    expect(html).toContain("&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&#39;&amp;");
    // Nothing is left of it when what is escaped is taken away.
    expect(
      html.replaceAll(/&quot;&gt;&lt;img src=x onerror=alert\(1\)&gt;&#39;&amp;/g, ""),
    ).not.toMatch(/<img|onerror|<script/i);
  }
});

test("a name is short, on one line and without signs that cannot be seen", () => {
  expect(nameShown("a\u202Eb\u0000c\n\u2028d")).toBe("a b c d");
  expect(nameShown(" \u200B ")).toBe("(no name)");
  expect(Array.from(nameShown("🦉".repeat(200)))).toHaveLength(81);
  expect(nameShown("Desk")).toBe("Desk");
});

test("who registered itself is said to be unchecked, who has a domain is named by it", () => {
  const of = (domain: string | undefined) =>
    signInPage({ ...form, fault: undefined, client: { ...client, domain } });
  expect(of(undefined)).toContain("nobody has checked its name");
  expect(of("agent.example")).toContain("<strong>agent.example</strong>");
  expect(of("agent.example")).not.toContain("nobody has checked");
});
