// Bodies that no node should take: a good request's JSON and frame with one thing wrong. The signatures over
// them are good, so that they get as far as a body can.
import { framedType, pixelsType, writeFrame } from "@blip2-edge/shared/wire/frame";
import {
  embedRequestSchema,
  inferRequestSchema,
  matchRequestSchema,
} from "@blip2-edge/shared/wire/protocol";
import type { Random } from "./random.ts";

export interface BadBody {
  readonly path: "/v1/infer" | "/v1/match" | "/v1/embed";
  readonly body: Uint8Array;
  readonly contentType: string;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const schemas = {
  "/v1/infer": inferRequestSchema,
  "/v1/match": matchRequestSchema,
  "/v1/embed": embedRequestSchema,
} as const;
type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const strangeValues: readonly ((random: Random) => Json)[] = [
  () => null,
  () => true,
  () => "",
  () => [],
  () => ({}),
  () => -1,
  () => 1.5,
  () => 1e308,
  () => Number.MAX_SAFE_INTEGER,
  (random) => random.text(1 + random.int(40)),
  (random) => "x".repeat(9000 + random.int(2000)),
  (random) => Array.from({ length: 100 }, () => random.int(10)),
  () => "\ud800",
  () => "__proto__",
  () => [[[[[[{}]]]]]],
];
const strangeNames = ["__proto__", "constructor", "toString", "", "Model", "model ", "stream", "0"];

/** One place of a JSON value is removed, replaced, or gets a neighbour nobody knows. */
function mutate(value: Json, random: Random): Json {
  const copy = structuredClone(value);
  let at = copy;
  for (let depth = 0; depth < 4; depth++) {
    if (at === null || typeof at !== "object") break;
    const keys = Object.keys(at);
    const key = keys.length === 0 ? "0" : random.pick(keys);
    const holder = at as Record<string, Json>;
    const below = holder[key];
    if (below !== null && typeof below === "object" && random.int(2) === 0) {
      at = below;
      continue;
    }
    const how = random.int(3);
    if (how === 0) delete holder[key];
    else if (how === 1) holder[key] = random.pick(strangeValues)(random);
    else {
      const name = random.pick([...strangeNames, random.text(5)]);
      Object.defineProperty(holder, name, {
        value: random.pick(strangeValues)(random),
        enumerable: true,
        configurable: true,
      });
    }
    break;
  }
  return copy;
}

/** Text that is no request, however it is read. */
function badJson(good: string, path: BadBody["path"], random: Random): Uint8Array {
  const isBad = (text: string): boolean => {
    try {
      return !schemas[path].safeParse(JSON.parse(text)).success;
    } catch {
      return true;
    }
  };
  for (;;) {
    const kind = random.int(9);
    if (kind === 0) return encode(good.slice(0, random.int(good.length)));
    if (kind === 1) return encode(random.pick(["", "null", "true", "7", '"x"', "[]", "{}", "NaN"]));
    if (kind === 2) return encode("[".repeat(1 + random.int(50_000)));
    if (kind === 3) return encode(`${good}${random.text(1 + random.int(9))}`);
    if (kind === 4) {
      const bytes = encode(good);
      bytes[1 + random.int(bytes.length - 2)] = 0x80 + random.int(0x40); // a lone continuation byte
      return bytes;
    }
    if (kind === 5) return random.bytes(random.int(2000));
    if (kind === 6) {
      const bytes = encode(good);
      bytes[random.int(bytes.length)] = 32 + random.int(95);
      const text = new TextDecoder().decode(bytes);
      if (isBad(text)) return bytes;
      continue;
    }
    const text = JSON.stringify(mutate(JSON.parse(good) as Json, random));
    if (isBad(text)) return encode(text);
  }
}

function badFrame(good: string, pixels: Uint8Array, random: Random): Omit<BadBody, "path"> {
  const { body, contentType } = writeFrame({ json: good, pixels }, "edge-of-parts");
  const replaced = (from: string, to: string): Uint8Array => {
    const text = Buffer.from(body).toString("latin1");
    const index = text.indexOf(from);
    if (index < 0) throw new Error(`the frame has no ${from}`);
    return Buffer.from(`${text.slice(0, index)}${to}${text.slice(index + from.length)}`, "latin1");
  };
  const jsonBytes = `content-length: ${encode(good).length}`;
  const pixelBytes = `content-length: ${pixels.length}`;
  switch (random.int(14)) {
    case 0:
      return { body: body.subarray(0, random.int(body.length)), contentType };
    case 1:
      return {
        body,
        contentType: contentType.replace(
          "edge-of-parts",
          random.pick(["other", "", "edge-of-part"]),
        ),
      };
    case 2:
      return { body, contentType: framedType };
    case 3:
      return { body, contentType: `${contentType}; x=${"y".repeat(300)}` };
    case 4:
      return {
        body: replaced(
          jsonBytes,
          `content-length: ${random.pick(["0", "1", "-1", "99999999", "999999999", "1e3", "", " 5"])}`,
        ),
        contentType,
      };
    case 5:
      return {
        body: replaced(
          pixelBytes,
          `content-length: ${pixels.length + random.pick([-1, 1, 7, -pixels.length])}`,
        ),
        contentType,
      };
    case 6:
      return { body: Buffer.concat([body, random.bytes(1 + random.int(30))]), contentType };
    case 7:
      return {
        body: replaced(pixelsType, random.pick(["image/png", "text/html", "application/json"])),
        contentType,
      };
    case 8: {
      // One pixel, row or picture too few or too many, framed as it should be.
      const length = Math.max(
        0,
        pixels.length + random.pick([-3, 3, -1, 48, -pixels.length, pixels.length]),
      );
      return writeFrame({ json: good, pixels: random.bytes(length) });
    }
    case 9: {
      const size = 14 + random.int(40);
      const json = good.replace(/"size":\d+/, `"size":${size}`);
      const other = new Uint8Array(size * size * 3);
      // Of the right size the pixels are one byte short.
      return writeFrame({
        json,
        pixels: other.length === pixels.length ? other.subarray(1) : other,
      });
    }
    case 10:
      return {
        body: Buffer.from(Buffer.from(body).toString("latin1").replaceAll("\r\n", "\n"), "latin1"),
        contentType,
      };
    case 11:
      return { body: replaced("--edge-of-parts", "-edge-of-parts"), contentType };
    case 12:
      return { body: random.bytes(random.int(3000)), contentType };
    default:
      return {
        body,
        contentType: random.pick([
          "multipart/form-data; boundary=edge-of-parts",
          "text/plain",
          "image/png",
          "x",
          "application/jsonp",
        ]),
      };
  }
}

export interface GoodRequest {
  readonly path: BadBody["path"];
  readonly json: string;
  readonly pixels: Uint8Array;
}

/** `good`: requests that the node would answer. */
export function badBody(good: readonly GoodRequest[], random: Random): BadBody {
  const { path, json, pixels } = random.pick(good);
  if (random.int(2) === 0) return { path, ...badFrame(json, pixels, random) };
  const bad = badJson(json, path, random);
  if (random.int(4) > 0) return { path, body: bad, contentType: "application/json" };
  const boundary = "edge-of-parts";
  const body = Buffer.concat([
    encode(
      `--${boundary}\r\ncontent-type: application/json\r\ncontent-length: ${bad.length}\r\n\r\n`,
    ),
    bad,
    encode(
      `\r\n--${boundary}\r\ncontent-type: ${pixelsType}\r\ncontent-length: ${pixels.length}\r\n\r\n`,
    ),
    pixels,
    encode(`\r\n--${boundary}--\r\n`),
  ]);
  return { path, body, contentType: `${framedType}; boundary=${boundary}` };
}
