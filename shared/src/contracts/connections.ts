// /v1/connections: a CMS whose pictures get their words from here. Its secrets go in and never come out.
import { z } from "zod";
import { defaultAltLength } from "../alt-text.ts";
import { modelNameSchema } from "./caption.ts";
import { keyIdSchema } from "./keys.ts";
import { textSchema } from "./text.ts";

/** Each is a row of edge/src/webhooks/adapters.ts. */
export const connectionKinds = [
  "standard",
  "directus",
  "strapi",
  "wordpress",
  "payload",
  "sanity",
  "contentful",
  "cloudinary",
  "storyblok",
  "shopify",
] as const;
export type ConnectionKind = (typeof connectionKinds)[number];

/** What may be written of a picture. */
export const words = ["alt", "caption", "tags"] as const;
export type Word = (typeof words)[number];

export const connectionIdSchema = z
  .string()
  .regex(/^con_[0-9a-f]{32}$/, "must be con_ and 32 hex digits (lower case)");

export const connectionModes = ["off", "suggest", "apply"] as const;
export const pictureTypes = ["image/jpeg", "image/png", "image/webp"] as const;
export const defaultMaxLength = defaultAltLength;
export const defaultMaxTags = 5;
export const defaultSweepS = 3600;
/** Both are rows of the table that they were chosen from (docs/cms.md, docs/decisions/0192). */
export const defaultMinItm = 0.8;
export const measuredMinLogProbs = { nano: -0.07 } as const;
export const defaultSecretOverlapS = 86_400;

const fieldNameSchema = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, "must be the name of a field of the CMS")
  .nullable()
  .optional();

const probability = z.number().min(0).max(1);
const secretSchema = z.string().min(16).max(512);
const nameSchema = z.string().trim().min(1).max(100);
const tagSchema = z.string().trim().min(1).max(64);

const optionFields = {
  mode: z
    .enum(connectionModes)
    .optional()
    .describe(
      "apply: write; suggest (the default): keep what would be written for review; off: do nothing.",
    ),
  model: modelNameSchema.optional().describe("With its precision: blip2-opt-2.7b@int4."),
  prompt: textSchema
    .nullable()
    .optional()
    .describe("What the model continues, such as `a product photo of`."),
  fields: z
    .strictObject({ alt: fieldNameSchema, caption: fieldNameSchema, tags: fieldNameSchema })
    .optional()
    .describe(
      "Which field of the CMS gets what; null: none. Left out: the one that is usual there.",
    ),
  only_if_empty: z
    .boolean()
    .optional()
    .describe(
      "true (the default): a field that holds words of others is left alone. false: those that were there when the picture was described may be replaced.",
    ),
  max_length: z.int().min(20).max(1000).optional().describe(`Default ${defaultMaxLength}.`),
  glossary: z
    .array(z.strictObject({ from: z.string().trim().min(1).max(64), to: z.string().max(64) }))
    .max(100)
    .optional()
    .describe("Words of the model, and what the site says instead."),
  decorative: z
    .array(z.string().min(1).max(100))
    .max(50)
    .optional()
    .describe("File names of pictures that mean nothing, * for any text: `divider-*`."),
  types: z
    .array(z.enum(pictureTypes))
    .min(1)
    .max(pictureTypes.length)
    .optional()
    .describe("Of the files that are described. Default all."),
  min_log_prob: z
    .number()
    .max(0)
    .nullable()
    .optional()
    .describe(
      `Below it a text is only suggested. Left out: what was measured for its model, where it was (nano: ${measuredMinLogProbs.nano}); null: no such cut.`,
    ),
  min_itm: probability
    .nullable()
    .optional()
    .describe(
      `The same for how well the text matches the picture. Default ${defaultMinItm}; null: it is not asked.`,
    ),
  vocabulary: z
    .array(tagSchema)
    .max(60)
    .optional()
    .describe("Tags are chosen from these; left out or empty: from the words of the caption."),
  max_tags: z.int().min(1).max(20).optional().describe(`Default ${defaultMaxTags}.`),
  sweep_every_s: z
    .int()
    .min(60)
    .max(604_800)
    .nullable()
    .optional()
    .describe(
      `How often the CMS is asked for pictures without alt text. Default ${defaultSweepS}; null: never.`,
    ),
} as const;

const baseUrlSchema = z
  .url({ protocol: /^https?$/, error: "must be an http or https URL" })
  .max(500)
  .refine((text) => !/[?#]/.test(text), "must have neither a query nor a fragment");

const allowPrivateSchema = z
  .boolean()
  .optional()
  .describe(
    "The CMS stands on a private network that the Worker's operator has named (CMS_PRIVATE_ORIGINS).",
  );

export const createConnectionRequestSchema = z.strictObject({
  name: nameSchema,
  kind: z.enum(connectionKinds),
  base_url: baseUrlSchema.describe("Of the CMS's API. Nothing but its origin gets the token."),
  allow_private: allowPrivateSchema,
  token: secretSchema.describe("With which the CMS lets us read and write."),
  webhook_secret: secretSchema.describe("With which the CMS proves its webhooks."),
  key_id: keyIdSchema.optional().describe("Whose quotas the work counts to; default the caller's."),
  ...optionFields,
});
export type CreateConnectionRequest = z.infer<typeof createConnectionRequestSchema>;

/** What is left out stays as it is. The kind and the CMS's address never change: those are another connection. */
export const updateConnectionRequestSchema = z.strictObject({
  id: connectionIdSchema,
  name: nameSchema.optional(),
  allow_private: allowPrivateSchema,
  token: secretSchema.optional(),
  webhook_secret: secretSchema.optional().describe("The one before works on for a while."),
  secret_overlap_s: z
    .int()
    .min(0)
    .max(30 * 86_400)
    .optional()
    .describe("For how long; default a day."),
  key_id: keyIdSchema.optional(),
  ...optionFields,
});
export type UpdateConnectionRequest = z.infer<typeof updateConnectionRequestSchema>;

export const oneConnectionSchema = z.strictObject({ id: connectionIdSchema });

const cursorSchema = z
  .string()
  .regex(/^\d{1,15}$/, "must be the cursor of an answer")
  .optional();
export const listConnectionsQuerySchema = z.strictObject({ cursor: cursorSchema });

/** What a connection is told to do, with every default filled in. */
export const connectionOptionsSchema = z.object({
  mode: z.enum(connectionModes),
  model: z.string().nullable(),
  prompt: z.string().nullable(),
  fields: z.object({
    alt: z.string().nullable(),
    caption: z.string().nullable(),
    tags: z.string().nullable(),
  }),
  only_if_empty: z.boolean(),
  max_length: z.int(),
  glossary: z.array(z.object({ from: z.string(), to: z.string() })),
  decorative: z.array(z.string()),
  types: z.array(z.string()),
  min_log_prob: z
    .number()
    .nullable()
    .optional()
    .describe("Absent: what was measured for the model, where it was."),
  min_itm: z.number().nullable(),
  vocabulary: z.array(z.string()),
  max_tags: z.int(),
  sweep_every_s: z.int().nullable(),
});
export type ConnectionOptions = z.infer<typeof connectionOptionsSchema>;

export const connectionSchema = z.object({
  id: connectionIdSchema,
  name: z.string(),
  kind: z.enum(connectionKinds),
  base_url: z.string(),
  allow_private: z.boolean(),
  key_id: z.string(),
  /** Where the CMS sends its webhooks: a path of this API. */
  webhook_path: z.string(),
  ...connectionOptionsSchema.shape,
  created_at: z.string(),
  updated_at: z.string(),
  /** Until when the webhook secret before the last change still works. */
  previous_secret_until: z.string().nullable(),
  /** When the CMS was last asked for pictures without alt text. */
  swept_at: z.string().nullable(),
  paused: z
    .object({ reason: z.string(), until: z.string() })
    .optional()
    .describe("Why nothing moves for now: a node, a quota, the CMS or the key."),
});
export type Connection = z.infer<typeof connectionSchema>;

export const connectionListSchema = z.object({
  connections: z.array(connectionSchema),
  /** Where the next page begins; absent on the last. */
  cursor: z.string().optional(),
});
export type ConnectionList = z.infer<typeof connectionListSchema>;

export const connectionDeletedSchema = z.object({
  id: connectionIdSchema,
  deleted: z.literal(true),
});
export type ConnectionDeleted = z.infer<typeof connectionDeletedSchema>;
