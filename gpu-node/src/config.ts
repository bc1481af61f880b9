// Every setting of the node: one schema with defaults and descriptions, parsed once at the entry and
// frozen. All faults are reported in one message, which never repeats a secret.
import { AppError } from "@blip2-edge/shared/problem";
import { signingKeysSchema } from "@blip2-edge/shared/wire/signing-keys";
import { z } from "zod";
import { providerNames } from "./runtime/providers.ts";

const keysSchema = z
  .string({
    error:
      "none given: set BLIP2_NODE_KEYS or --keys-file to id:secret pairs; a node answers signed requests only",
  })
  .pipe(signingKeysSchema);

const wholeNumber = (min: number, max: number, preset: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "not a whole number")
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .default(preset);

/** Keys are the flags of `blip2 serve` without their dashes; `keys` also comes from the environment. */
export const nodeConfigSchema = z.strictObject({
  model: z
    .array(z.string().min(1), { error: "give at least one artifact folder" })
    .min(1)
    .describe("Artifact folder to serve; may be repeated."),
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
  port: wholeNumber(0, 65_535, 0).describe("Port to listen on; 0 takes a free one."),
  threads: wholeNumber(0, 1024, 0).describe(
    "Threads of the engine; 0 takes the machine's physical cores, or as many as its control group allows.",
  ),
  provider: z
    .enum(providerNames, { error: `not one of ${providerNames.join(", ")}` })
    .default("cpu")
    .describe(
      "Execution provider of ONNX Runtime: cpu, webgpu (any card with a Vulkan driver) or cuda (never run yet); docs/providers.md.",
    ),
  "max-queue-seconds": wholeNumber(1, 3600, 30).describe(
    "Estimated seconds of work that may be there, bulk up to half of it; more is answered with 503 and Retry-After.",
  ),
  "max-queue": wholeNumber(1, 10_000, 256).describe(
    "Requests that may be there, whatever work they are, bulk up to half of them; more are answered with 503.",
  ),
  "feature-store-mb": wholeNumber(0, 1_000_000, 64).describe(
    "Megabytes of image features kept for further questions about the same image; one of blip2-opt-2.7b takes 0.33.",
  ),
  "drain-seconds": wholeNumber(0, 3600, 8).describe(
    "How long what was let in may take to finish when the node is told to end.",
  ),
  announce: z
    .url({ protocol: /^https?$/, error: "not an http or https address" })
    .optional()
    .describe(
      "Base address of the Worker that this node announces itself to, signed with its first key; docs/edge-nodes.md.",
    ),
  "announce-as": z
    .url({ protocol: /^https?$/, error: "not an http or https address" })
    .transform((text) => new URL(text).origin)
    .optional()
    .describe(
      "Address under which the Worker reaches this node; the one it listens on when left out.",
    ),
  "announce-weight": z
    .string()
    .regex(/^\d{1,4}(\.\d{1,4})?$/, "not a number")
    .transform(Number)
    .pipe(z.number().min(0.01).max(1000))
    .default(1)
    .describe(
      "How much work it can do beside the other nodes: 2 gets twice as many pictures as 1.",
    ),
  "otlp-endpoint": z
    .url({
      protocol: /^https?$/,
      error: "not an http or https address, such as http://127.0.0.1:4318",
    })
    .optional()
    .describe(
      "Base address of an OpenTelemetry collector (OTLP/HTTP) that traces are sent to; none are made without it. Also from OTEL_EXPORTER_OTLP_ENDPOINT.",
    ),
  "trace-sample-ratio": z
    .string()
    .regex(/^(0|0?\.\d{1,9}|1(\.0{1,9})?)$/, "not a number from 0 to 1")
    .transform(Number)
    .default(1)
    .describe(
      "Part of the requests that is traced, of those whose caller has not decided it: 0 to 1.",
    ),
  keys: keysSchema.describe(
    "Secret, from BLIP2_NODE_KEYS or --keys-file: the keys whose signatures are accepted; a file is read again when it changes.",
  ),
});
export type NodeConfig = Readonly<z.infer<typeof nodeConfigSchema>>;

/** Flag and environment values as they were given, all text. Errors: `usage` with every fault. */
export function parseNodeConfig(input: Readonly<Record<string, unknown>>): NodeConfig {
  const parsed = nodeConfigSchema.safeParse(input);
  if (parsed.success) return Object.freeze(parsed.data);
  const faults = parsed.error.issues.map((issue) => {
    const name = issue.path[0] === undefined ? "settings" : String(issue.path[0]);
    return `${name === "keys" ? name : `--${name}`}: ${issue.message}`;
  });
  throw new AppError("usage", `The settings are not usable: ${faults.join("; ")}.`);
}
