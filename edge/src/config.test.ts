import { expect, test } from "vitest";
import { parseSettings } from "./config.ts";

const secret = "s".repeat(32);
const good = {
  NODE_URL: "https://node.example.com",
  NODE_KEYS: `a:${secret}`,
  PARTITION_SECRET: secret,
  DB: {},
};

test("defaults", () => {
  const settings = parseSettings(good);
  expect(settings).toMatchObject({ FETCH_PORTS: [80, 443, 8080, 8443], ALLOW_FETCH: [] });
  expect(settings.NODE_KEYS[0]?.id).toBe("a");
  expect(Object.isFrozen(settings)).toBe(true);
  const pairs = parseSettings({
    ...good,
    NODE_KEYS: `a:${secret},b:${secret}`,
    ALLOW_FETCH: "A:1, b:2",
  });
  expect(pairs.NODE_KEYS.map(({ id }) => id)).toEqual(["a", "b"]);
  expect(pairs.ALLOW_FETCH).toEqual(["a:1", "b:2"]);
});

test("nodes: listed, or allowed to announce themselves with a key that there is", () => {
  const { NODE_URL: _, ...without } = good;
  const several = {
    ...good,
    NODE_URL: "https://a.example.com/, http://b:8080 https://a.example.com/",
  };
  expect(parseSettings(several).NODE_URL).toEqual(["https://a.example.com", "http://b:8080"]);
  expect(() => parseSettings(without)).toThrow(/NODE_URL: needed, unless ANNOUNCE_ORIGINS/);
  // Where an operator can let them, nodes join, and the settings need no key of them.
  const operators = { OPERATOR_KEYS: `b2e_operator_${"o".repeat(32)}` };
  const { NODE_KEYS: __, ...bare } = without;
  expect(parseSettings({ ...bare, ...operators })).toMatchObject({ NODE_URL: [], NODE_KEYS: [] });
  const keyless = { ...bare, NODE_URL: good.NODE_URL };
  expect(() => parseSettings(keyless)).toThrow(/NODE_KEYS: needed to sign/);
  const announced = { ...without, ANNOUNCE_ORIGINS: "a=https://*.example.com, a=http://b:8080" };
  expect(parseSettings(announced)).toMatchObject({ NODE_URL: [], HEARTBEAT_MS: 5000 });
  expect(parseSettings(announced).ANNOUNCE_ORIGINS).toHaveLength(2);
  const unknown = { ...good, ANNOUNCE_ORIGINS: "b=https://x.example.com" };
  expect(() => parseSettings(unknown)).toThrow(/ANNOUNCE_ORIGINS: b is no key of NODE_KEYS/);
  const formless = { ...good, ANNOUNCE_ORIGINS: "https://x.example.com" };
  expect(() => parseSettings(formless)).toThrow(/is not of the form key-id=origin/);
});

test("a collector's headers, as OpenTelemetry writes them", () => {
  const headersOf = (text: string) =>
    parseSettings({ ...good, OTEL_EXPORTER_OTLP_HEADERS: text }).OTEL_EXPORTER_OTLP_HEADERS;
  expect(headersOf("")).toEqual({});
  expect(headersOf("X-Key=a%20b=c, authorization=Basic%20YQ==,")).toEqual({
    "x-key": "a b=c",
    authorization: "Basic YQ==",
  });
  for (const text of ["secret", "=secret", "a=", "a b=secret", "a=secret\n"]) {
    expect(() => headersOf(text)).toThrow(/OTEL_EXPORTER_OTLP_HEADERS: must be name=value pairs/);
    expect(() => headersOf(text)).not.toThrow(/secret/);
  }
});

test("every fault in one message, no secret in it", () => {
  const faulty = { NODE_KEYS: "a:shorty", PARTITION_SECRET: "shorty", MAX_BODY_BYTES: "many" };
  let message = "";
  try {
    parseSettings(faulty);
  } catch (error) {
    message = String(error);
  }
  for (const name of ["NODE_URL", "NODE_KEYS", "PARTITION_SECRET", "MAX_BODY_BYTES"]) {
    expect(message).toContain(name);
  }
  expect(message).not.toContain("shorty");
});

test("OAuth is off, and Access is told of whole or not at all", () => {
  const team = "https://acme.cloudflareaccess.com";
  expect(parseSettings(good)).toMatchObject({
    ...{ OAUTH: false, OAUTH_REGISTRATION: true, ACCESS_KEYS: [] },
  });
  const whole = { ...good, ACCESS_TEAM: `${team}/`, ACCESS_AUDIENCE: "app" };
  const keys = { ACCESS_KEYS: "Ada@example.com=k1, *@example.com=k2" };
  expect(parseSettings({ ...whole, ...keys })).toMatchObject({
    ACCESS_TEAM: team,
    ACCESS_KEYS: [
      { who: "ada@example.com", keyId: "k1" },
      { who: "*@example.com", keyId: "k2" },
    ],
  });
  const faultOf = (more: object) => () => parseSettings({ ...good, ...more });
  expect(faultOf({ ACCESS_TEAM: team })).toThrow(/ACCESS_AUDIENCE: needed/);
  expect(faultOf({ ACCESS_AUDIENCE: "app" })).toThrow(/ACCESS_TEAM: needed/);
  expect(faultOf(keys)).toThrow(/ACCESS_TEAM: needed/);
  expect(faultOf({ ...whole, ACCESS_TEAM: "http://acme.example" })).toThrow(/ACCESS_TEAM/);
  expect(faultOf({ ...whole, ACCESS_KEYS: "ada=k1" })).toThrow(/not of the form e-mail=key-id/);
});
