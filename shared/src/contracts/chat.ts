// POST /v1/chat/completions in OpenAI's shape: a conversation about one picture. What a BLIP-2 model cannot
// do is refused by name, never passed over.
import { z } from "zod";
import { modelNameSchema } from "./caption.ts";
import { finishReasonSchema, maxGeneratedTokens } from "./generation.ts";
import { imageIdSchema } from "./image.ts";
import { harmlessFields, onlyIf } from "./openai.ts";

export const maxMessages = 256;
const maxMessageCharacters = 8192;

const textSchema = z.string().max(maxMessageCharacters);
const textPartSchema = z.strictObject({ type: z.literal("text"), text: textSchema });
const imagePartSchema = z.strictObject({
  type: z.literal("image_url"),
  image_url: z.strictObject({
    url: z
      .string()
      .min(1)
      .describe("https, a data URL, or the image_id of a picture that was sent before."),
    detail: z
      .string()
      .nullish()
      .describe("Passed over: a picture has the size of the model's input."),
  }),
});

const nameField = { name: z.string().nullish().describe("Passed over.") } as const;
const silent = z.union([z.literal(""), z.array(z.never()).max(0)], {
  error: "must be empty: these models take no instructions",
});
const userMessageSchema = z.strictObject({
  role: z.literal("user"),
  content: z.union([textSchema, z.array(z.union([textPartSchema, imagePartSchema])).min(1)], {
    error: "must be a text, or a list of parts of the types text and image_url",
  }),
  ...nameField,
});
const assistantMessageSchema = z.strictObject({
  role: z.literal("assistant"),
  content: z.union([textSchema, z.array(textPartSchema).min(1)], {
    error: "must be a text, or a list of parts of the type text",
  }),
  refusal: z.null().optional(),
  tool_calls: onlyIf(z.array(z.never()).max(0), "must be empty: no tools are called"),
  ...nameField,
});

export const chatMessageSchema = z.discriminatedUnion(
  "role",
  [
    userMessageSchema,
    assistantMessageSchema,
    z.strictObject({ role: z.literal("system"), content: silent, ...nameField }),
    z.strictObject({ role: z.literal("developer"), content: silent, ...nameField }),
  ],
  { error: "must have the role user, assistant, system or developer" },
);
export type ChatMessage = z.infer<typeof chatMessageSchema>;

const zero = z.literal(0);
const nothing = z.array(z.never()).max(0);
const tokens = z.int().min(1).max(10_000_000).nullish();

export const chatRequestSchema = z.strictObject({
  model: modelNameSchema.optional(),
  messages: z
    .array(chatMessageSchema)
    .min(1)
    .max(maxMessages)
    .describe(
      "The last user message with an image begins the conversation; what stands before it is passed over. Its texts are questions, the assistant's are their answers; without any text the picture is captioned.",
    ),
  max_completion_tokens: tokens.describe(
    `Default 20; more than ${maxGeneratedTokens} is the same as ${maxGeneratedTokens}.`,
  ),
  max_tokens: tokens.describe("The older name of max_completion_tokens."),
  temperature: z
    .number()
    .min(0)
    .max(2)
    .nullish()
    .describe(
      "Above 0 the text is drawn, unless left out. Default: the best text, which is cached.",
    ),
  top_p: z.number().min(0).max(1).nullish().describe("Below 1 the text is drawn. Default 1."),
  seed: z.int().min(0).max(0xffff_ffff).nullish().describe("The same seed draws the same text."),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().nullish(),
      include_obfuscation: z.boolean().nullish().describe("Passed over."),
    })
    .nullish(),
  n: onlyIf(z.literal(1), "must be 1; POST /v1/caption gives several texts"),
  stop: onlyIf(nothing, "is not supported: these models end by themselves"),
  frequency_penalty: onlyIf(zero, "must be 0; POST /v1/vqa knows repetition_penalty"),
  presence_penalty: onlyIf(zero, "must be 0; POST /v1/vqa knows repetition_penalty"),
  logit_bias: onlyIf(z.strictObject({}), "is not supported"),
  logprobs: onlyIf(z.literal(false), "is not supported; POST /v1/vqa gives log_prob"),
  top_logprobs: onlyIf(zero, "is not supported"),
  response_format: onlyIf(
    z.strictObject({ type: z.literal("text") }),
    "must be text: these models write no JSON",
  ),
  modalities: onlyIf(z.array(z.literal("text")).length(1), "must be text alone"),
  tools: onlyIf(nothing, "must be empty: these models call no tools"),
  tool_choice: onlyIf(z.enum(["none", "auto"]), "must be none: these models call no tools"),
  parallel_tool_calls: z.boolean().nullish().describe("Passed over."),
  functions: onlyIf(nothing, "must be empty: these models call no functions"),
  function_call: onlyIf(z.enum(["none", "auto"]), "must be none: these models call no functions"),
  reasoning_effort: z.string().nullish().describe("Passed over."),
  verbosity: z.string().nullish().describe("Passed over."),
  store: onlyIf(z.literal(false), "must be false: completions are not stored"),
  ...harmlessFields,
});
export type ChatRequest = z.infer<typeof chatRequestSchema>;

const chatUsageSchema = z.object({
  prompt_tokens: z.int().describe("The image's tokens too."),
  completion_tokens: z.int(),
  total_tokens: z.int(),
});
export type ChatUsage = z.infer<typeof chatUsageSchema>;

const chatHeadSchema = {
  id: z.string(),
  created: z.int().describe("Seconds since 1970."),
  model: z.string(),
  system_fingerprint: z.string().describe("The model's revision."),
} as const;

/** Beyond `usage` our own; OpenAI's clients pass over it. */
export const chatResponseSchema = z.object({
  object: z.literal("chat.completion"),
  ...chatHeadSchema,
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({
        role: z.literal("assistant"),
        content: z.string(),
        refusal: z.null(),
      }),
      logprobs: z.null(),
      finish_reason: finishReasonSchema,
    }),
  ),
  usage: chatUsageSchema,
  image_id: imageIdSchema.describe("Names the picture in later requests."),
  image_exact: z.literal(false).optional(),
  log_prob: z.number(),
});
export type ChatResponse = z.infer<typeof chatResponseSchema>;

/** One `data` of a streamed completion; `[DONE]` ends the stream. A failure is `{"error": …}` instead. */
export const chatChunkSchema = z.object({
  object: z.literal("chat.completion.chunk"),
  ...chatHeadSchema,
  choices: z.array(
    z.object({
      index: z.int(),
      delta: z.object({ role: z.literal("assistant").optional(), content: z.string().optional() }),
      logprobs: z.null(),
      finish_reason: finishReasonSchema.nullable(),
    }),
  ),
  usage: chatUsageSchema.nullish(),
});
export type ChatChunk = z.infer<typeof chatChunkSchema>;
