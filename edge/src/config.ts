// Every setting of the Worker: one schema with defaults and descriptions, read once per isolate and
// frozen. All faults are reported in one message; secrets never appear in it.
import { signingKeysSchema } from "@blip2-edge/shared/wire/signing-keys";
import { z } from "zod";
import { operatorKeyPattern } from "./auth/operator.ts";
import { readAllowedOrigin } from "./nodes/announcers.ts";
import { readKeyOfPersons } from "./oauth/keys-of-persons.ts";

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
/** As in a URL, without port; those of this machine when nothing is said. */
const hostNames = z
  .string()
  .default("localhost,127.0.0.1,[::1]")
  .transform((text) => text.split(/[\s,]+/).map((entry) => entry.toLowerCase()))
  .transform((entries) => entries.filter((entry) => entry !== ""))
  .pipe(
    z.array(z.string().regex(/^(\[[0-9a-f:]+\]|[a-z0-9.-]+)$/, "each is a host name without port")),
  );
const flag = z
  .enum(["true", "false"])
  .default("false")
  .transform((text) => text === "true");

const keysOfPersons = z
  .string()
  .default("")
  .transform((text, context) =>
    text
      .split(/[\s,]+/)
      .filter((entry) => entry !== "")
      .flatMap((entry) => {
        const read = readKeyOfPersons(entry);
        if (read === undefined) context.addIssue(`${entry} is not of the form e-mail=key-id`);
        return read ?? [];
      }),
  );

/** Origins, separated by commas or white space, each once. */
const origins = z
  .string()
  .default("")
  .transform((text) => [...new Set(text.split(/[\s,]+/).filter((entry) => entry !== ""))])
  .pipe(z.array(z.url({ protocol: /^https?$/ })))
  .transform((urls) => urls.map((url) => new URL(url).origin));

const allowedOrigins = z
  .string()
  .default("")
  .transform((text, context) =>
    text
      .split(/[\s,]+/)
      .filter((entry) => entry !== "")
      .flatMap((entry) => {
        const origin = readAllowedOrigin(entry);
        if (origin === undefined) context.addIssue(`${entry} is not of the form key-id=origin`);
        return origin ?? [];
      }),
  );

/** As OpenTelemetry writes them: values may be percent-encoded. */
function headersOf(text: string, context: z.RefinementCtx): Readonly<Record<string, string>> {
  const pairs = text.split(",").filter((pair) => pair.trim() !== "");
  const headers: Record<string, string> = {};
  for (const pair of pairs) {
    const [, name, value] =
      /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*([\x21-\x7e][\x20-\x7e]*)$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) {
      context.addIssue("must be name=value pairs separated by commas");
      return {};
    }
    headers[name.toLowerCase()] = value.replaceAll(/(?:%[0-9a-f]{2})+/gi, (part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
  }
  return headers;
}

export const settingsSchema = z.object({
  NODE_URL: origins.describe("Where the node answers; several are separated by commas."),
  ANNOUNCE_ORIGINS: allowedOrigins.describe(
    "Which nodes may announce themselves: key-id=origin, separated by commas; the key is one of NODE_KEYS. A star may stand for the first label of the host, and for the port.",
  ),
  HEARTBEAT_MS: number(500, 600_000, 5_000).describe(
    "How often such a node is to be heard of; after three that are missing it is gone.",
  ),
  NODE_LIST_TTL_MS: number(0, 600_000, 5_000).describe(
    "How long an isolate believes the registry's list of them.",
  ),
  NODE_KEYS: signingKeysSchema
    .default([])
    .describe(
      "Secret. id:secret pairs separated by commas; requests are signed with the first. Nodes that join have keys of their own beside them.",
    ),
  PARTITION_SECRET: z
    .string()
    .min(32, "at least 32 characters")
    .describe(
      "Secret. Turns a partition into the tag that nodes see instead of a tenant's name; encrypts the secrets that are stored; makes the keys of nodes that join.",
    ),
  DEFAULT_MODEL: z
    .string()
    .optional()
    .describe(
      "The model when a request names none; default: the first of the node's catalogue. What it cannot do, the first model that can does.",
    ),
  ALLOW_FETCH: list.describe("Private origins, host:port, that pictures may be fetched from."),
  CMS_PRIVATE_ORIGINS: list.describe(
    "Private origins, host:port, at which a connection's CMS may be when the connection says `allow_private`; those of ALLOW_FETCH are among them.",
  ),
  CMS_TIMEOUT_MS: number(100, 60_000, 15_000).describe("For one answer or file of a CMS."),
  CMS_CONCURRENCY: number(1, 64, 4).describe("Pictures of one connection at a time."),
  CMS_ATTEMPTS: number(1, 50, 12).describe(
    "How often a delivery is tried while its CMS fails, before it is dead.",
  ),
  CMS_RETRY_WAIT_MS: number(10, 600_000, 10_000).describe(
    "Before a delivery's second attempt; doubled each time, to an hour.",
  ),
  CMS_GIVE_UP_S: number(60, 31_536_000, 604_800).describe(
    "After so long a delivery is dead, whatever it waits for.",
  ),
  CMS_KEEP_S: number(3600, 315_360_000, 7_776_000).describe(
    "How long the trail of connections is kept, and deliveries that asked for nothing.",
  ),
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
    "Pause before the same node is asked once more, where there is no other, after a connection broke before a byte of answer.",
  ),
  NODE_MAX_IN_FLIGHT: number(1, 10_000, 64).describe(
    "Calls in flight that one isolate may have at one node; bulk may take half of them.",
  ),
  NODE_QUEUE_MS: number(0, 60_000, 2_000).describe(
    "How long a call waits for a place when every node has as many as it may; bulk does not wait.",
  ),
  NODE_HEDGE_PERCENT: number(0, 20, 5).describe(
    "Calls of a hundred that may be asked of a second node as well because the first takes longer than most; 0: none.",
  ),
  CATALOG_TTL_MS: number(0, 600_000, 10_000).describe(
    "How long the catalogues of the nodes are believed.",
  ),
  CATALOG_TIMEOUT_MS: number(50, 30_000, 2_000).describe("For asking one node for its catalogue."),
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
  WORK_LEASE_MS: number(300, 60_000, 6_000).describe(
    "After which an inference that others wait for is given up when nothing is heard of who does it.",
  ),
  PURGE_TTL_MS: number(0, 600_000, 10_000).describe(
    "How long an isolate believes what it read of purges: forgotten things may be answered at most this much longer.",
  ),
  JOB_CONCURRENCY: number(1, 64, 8).describe("Items of one job at a time."),
  JOB_CONCURRENCY_OVERALL: number(1, 10_000, 64).describe("Items of all jobs at a time."),
  JOB_MAX_OPEN: number(1, 10_000, 100).describe("Jobs of a tenant that are not over."),
  JOB_ITEM_ATTEMPTS: number(1, 20, 5).describe("How often an item is tried before it has failed."),
  JOB_RETRY_WAIT_MS: number(10, 600_000, 2_000).describe(
    "Before an item's second attempt, and a job's first pause; doubled each time, to 5 minutes.",
  ),
  JOB_LEASE_GRACE_MS: number(100, 600_000, 30_000).describe(
    "How much longer than REQUEST_TIMEOUT_MS an item belongs to who works on it.",
  ),
  JOB_SLICE_MS: number(100, 600_000, 60_000).describe(
    "How long an invocation takes new items of a job before it passes the job on.",
  ),
  JOB_KEEP_S: number(60, 31_536_000, 604_800).describe("How long a job that is over is kept."),
  IDEMPOTENCY_TTL_S: number(60, 604_800, 86_400).describe(
    "How long the answer to a request with an Idempotency-Key is remembered.",
  ),
  WEBHOOK_TIMEOUT_MS: number(100, 60_000, 15_000).describe("For one call of a job's webhook."),
  WEBHOOK_WAITS_S: z
    .string()
    .default("5,300,1800,7200,18000,36000,50400")
    .transform((text) => text.split(",").map(Number))
    .pipe(z.array(z.int().min(0).max(604_800)).min(1).max(20))
    .describe("Before the second call of a webhook, the third, and so on; then it has failed."),
  RESULT_TTL_S: number(60, 31_536_000, 2_592_000).describe("How long a result is kept."),
  LINK_TTL_S: number(60, 604_800, 3_600).describe(
    "How long a link to a picture is good at least; each answer has new ones.",
  ),
  LINK_SECRETS: z
    .string()
    .default("")
    .transform((text) => text.split(",").filter((secret) => secret !== ""))
    .pipe(z.array(z.string().min(32, "at least 32 characters each")).max(2))
    .describe(
      "Secret. Signs links to pictures and captions: one, or two separated by commas while the second is replaced by the first. Default: a key made of PARTITION_SECRET.",
    ),
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
    .describe(
      "Secret. Keys that manage the keys of every tenant, and the nodes, separated by commas; where there is one, nodes may join.",
    ),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("Base address of an OpenTelemetry collector that spans are sent to (OTLP/HTTP)."),
  OTEL_EXPORTER_OTLP_HEADERS: z
    .string()
    .default("")
    .transform(headersOf)
    .describe("Secret. What the collector wants to see: name=value pairs separated by commas."),
  MCP_HOSTS: hostNames.describe(
    "Host names under which /mcp answers, and whose pages may use it; what else a request names as Host or Origin is refused.",
  ),
  OAUTH: flag.describe(
    "Whether people may let agents use /mcp by OAuth, without giving them a key; needs the KV namespace OAUTH_KV.",
  ),
  OAUTH_REGISTRATION: z
    .enum(["true", "false"])
    .default("true")
    .transform((text) => text === "true")
    .describe(
      "Whether clients may register themselves there, as those do that publish no metadata document.",
    ),
  ACCESS_TEAM: z
    .url({ protocol: /^https$/ })
    .transform((url) => new URL(url).origin)
    .optional()
    .describe(
      "Team domain of Cloudflare Access, https://NAME.cloudflareaccess.com, where Access stands before /oauth/authorize: then nobody agrees to anything without its assertion.",
    ),
  ACCESS_AUDIENCE: z
    .string()
    .min(1)
    .optional()
    .describe("Audience tag of the application in Access; needed with ACCESS_TEAM."),
  ACCESS_KEYS: keysOfPersons.describe(
    "With which key people of Access act: e-mail=key-id, or *@domain=key-id, separated by commas. Others paste a key.",
  ),
  TRACE_SAMPLE_RATIO: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe("Part of the requests that is traced, of those whose caller has not decided it."),
  ACCEPT_FOREIGN_KEYS: flag.describe("Also look up keys that are not of this project's form."),
});

const settingsTogether = settingsSchema
  .refine(
    (all) => all.NODE_URL.length + all.ANNOUNCE_ORIGINS.length + all.OPERATOR_KEYS.length > 0,
    {
      path: ["NODE_URL"],
      message:
        "needed, unless ANNOUNCE_ORIGINS says which nodes may announce themselves, or OPERATOR_KEYS who may let nodes join",
      // Said beside the faults of other settings.
      when: ({ value }) => {
        const { NODE_URL, ANNOUNCE_ORIGINS, OPERATOR_KEYS } = value as Record<string, unknown>;
        return [NODE_URL, ANNOUNCE_ORIGINS, OPERATOR_KEYS].every(Array.isArray);
      },
    },
  )
  .refine(({ NODE_URL, NODE_KEYS }) => NODE_URL.length === 0 || NODE_KEYS.length > 0, {
    path: ["NODE_KEYS"],
    message: "needed to sign what the nodes of NODE_URL are asked",
  })
  .superRefine(({ ACCESS_TEAM, ACCESS_AUDIENCE, ACCESS_KEYS }, context) => {
    const need = (path: string) =>
      context.addIssue({
        code: "custom",
        path: [path],
        message: "needed with the other of Access",
      });
    if (ACCESS_TEAM === undefined && (ACCESS_AUDIENCE ?? ACCESS_KEYS[0]) !== undefined) {
      need("ACCESS_TEAM");
    }
    if (ACCESS_TEAM !== undefined && ACCESS_AUDIENCE === undefined) need("ACCESS_AUDIENCE");
  })
  .superRefine(({ ANNOUNCE_ORIGINS, NODE_KEYS }, context) => {
    for (const { keyId } of ANNOUNCE_ORIGINS) {
      if (NODE_KEYS.some(({ id }) => id === keyId)) continue;
      const message = `${keyId} is no key of NODE_KEYS`;
      context.addIssue({ code: "custom", path: ["ANNOUNCE_ORIGINS"], message });
    }
  });

export type Settings = z.infer<typeof settingsSchema>;

/** Parses the Worker's variables. Throws one Error that names every fault. */
export function parseSettings(env: Readonly<Record<string, unknown>>): Readonly<Settings> {
  const parsed = settingsTogether.safeParse(env);
  if (parsed.success) return Object.freeze(parsed.data);
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`The Worker's settings are not usable: ${faults.join("; ")}`);
}
