// Every setting of the Worker: one schema with defaults and descriptions, read once per isolate and
// frozen. All faults are reported in one message; secrets never appear in it.
import { signingKeysSchema } from "@blip2-edge/shared/wire/signing-keys";
import { z } from "zod";
import { operatorKeyPattern } from "./auth/operator.ts";

const number = (min: number, max: number, preset: number) =>
  z.coerce.number().int().min(min).max(max).default(preset);
const list = z
  .string()
  .default("")
  .transform((text) =>
    text
      .split(",")
      .map((entry) => entry.trim().toLowerCase())
      .filter((entry) => entry !== ""),
  );
const flag = z
  .enum(["true", "false"])
  .default("false")
  .transform((text) => text === "true");

export const settingsSchema = z.object({
  NODE_URL: z.url({ protocol: /^https?$/ }).describe("Where the node answers."),
  NODE_KEYS: signingKeysSchema.describe(
    "Secret. id:secret pairs separated by commas; requests are signed with the first.",
  ),
  PARTITION_SECRET: z
    .string()
    .min(32, "at least 32 characters")
    .describe("Secret. Turns a partition into the tag that nodes see instead of a tenant's name."),
  DEFAULT_MODEL: z
    .string()
    .optional()
    .describe(
      "The model when a request names none; default: the first of the node's catalogue. What it cannot do, the first model that can does.",
    ),
  ALLOW_FETCH: list.describe("Private origins, host:port, that pictures may be fetched from."),
  FETCH_PORTS: z
    .string()
    .default("80,443,8080,8443")
    .transform((text) => text.split(",").map(Number))
    .pipe(z.array(z.int().min(1).max(65_535)).min(1))
    .describe("Ports that picture URLs may use."),
  FETCH_TIMEOUT_MS: number(100, 60_000, 10_000).describe("For one picture, redirects included."),
  MAX_REDIRECTS: number(0, 10, 4).describe("Hops that a picture URL may take; each is checked."),
  MAX_IMAGE_BYTES: number(1024, 50_000_000, 10_485_760).describe("Size of one picture file."),
  MAX_BODY_BYTES: number(1024, 100_000_000, 16_777_216).describe("Size of a request body."),
  BODY_TIMEOUT_MS: number(100, 120_000, 20_000).describe("In which a request body must arrive."),
  REQUEST_TIMEOUT_MS: number(100, 600_000, 60_000).describe(
    "For a whole request; the node is told what is left of it.",
  ),
  NODE_ATTEMPT_WAIT_MS: number(0, 5_000, 100).describe(
    "Pause before the one retry after a connection broke before a byte of answer.",
  ),
  CATALOG_TTL_MS: number(0, 600_000, 10_000).describe("How long the node's catalogue is believed."),
  CATALOG_TIMEOUT_MS: number(50, 30_000, 2_000).describe("For asking the node for it."),
  KEY_TTL_MS: number(0, 600_000, 30_000).describe(
    "How long a key's record is believed: a revoked key works at most this much longer.",
  ),
  PICTURE_MEMORY_BYTES: number(1_000_000, 1_000_000_000, 117_440_512).describe(
    "What one isolate may hold of pictures at a time: files, and what decoding needs; others wait.",
  ),
  PICTURE_WAIT_MS: number(0, 60_000, 5_000).describe("How long a picture waits for that memory."),
  IMAGES_TIMEOUT_MS: number(100, 60_000, 15_000).describe(
    "For the Images binding, where there is one, to shrink a picture.",
  ),
  CACHE_MEMORY_BYTES: number(0, 100_000_000, 2_097_152).describe(
    "What an isolate keeps of the cache in its own memory, in front of the Cache API and KV; 0: nothing.",
  ),
  PURGE_TTL_MS: number(0, 600_000, 10_000).describe(
    "How long an isolate believes what it read of purges: forgotten things may be answered at most this much longer.",
  ),
  RESULT_TTL_S: number(60, 31_536_000, 2_592_000).describe("How long a result is kept."),
  GET_MAX_AGE_S: number(0, 86_400, 300).describe("max-age of GET answers, for the caller alone."),
  OPERATOR_KEYS: z
    .string()
    .default("")
    .transform((text) => text.split(",").filter((key) => key !== ""))
    .pipe(
      z.array(
        z
          .string()
          .regex(operatorKeyPattern, "each is b2e_operator_ and 32 to 128 letters or digits"),
      ),
    )
    .describe("Secret. Keys that manage the keys of every tenant, separated by commas."),
  ACCEPT_FOREIGN_KEYS: flag.describe("Also look up keys that are not of this project's form."),
});

export type Settings = z.infer<typeof settingsSchema>;

/** Parses the Worker's variables. Throws one Error that names every fault. */
export function parseSettings(env: Readonly<Record<string, unknown>>): Readonly<Settings> {
  const parsed = settingsSchema.safeParse(env);
  if (parsed.success) return Object.freeze(parsed.data);
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`The Worker's settings are not usable: ${faults.join("; ")}`);
}
