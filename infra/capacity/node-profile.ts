// What one node takes for each thing that it does, measured on that node alone: by `blip2 bench` (its bench.json), or by
// whoever writes the times into a file. Nothing here knows of queues: what waits for what is the engine's affair.
import { z } from "zod";

/** [size, milliseconds]: of a batch of so many images, a prefill of so many tokens, a step of so many rows. */
const pointsSchema = z
  .array(z.tuple([z.number().positive(), z.number().min(0)]))
  .min(1)
  .refine((points) => points.every(([size], at) => at === 0 || size > (points[at - 1]?.[0] ?? 0)), {
    message: "sizes must grow",
  });
export type Points = z.infer<typeof pointsSchema>;

export const nodeProfileSchema = z.strictObject({
  format: z.literal("blip2-edge/node-profile/v1"),
  /** What was measured, and on what. */
  source: z.string(),
  /** Vision and Q-Former of so many images in one batch. */
  look_ms: pointsSchema,
  /** Prompts read together, of so many tokens in all; those of the images count. */
  prefill_ms: pointsSchema,
  /** One decode step of so many rows. */
  step_ms: pointsSchema,
  /** Tokens that stand for a picture. */
  image_tokens: z.int().min(1).default(32),
  /** Texts compared with one picture that was looked at; without it the node compares nothing. */
  match_ms: pointsSchema.optional(),
  /** Texts made into vectors. */
  embed_texts_ms: pointsSchema.optional(),
  /** As `blip2 serve --max-queue-seconds` and `--max-queue`. */
  max_queue_seconds: z.number().positive().default(30),
  max_queue: z.int().min(1).default(256),
});
export type NodeProfile = z.infer<typeof nodeProfileSchema>;

/** Between two points on the line through both, above the last as the last two go on, below the first as it is. */
export function timeAt(points: Points, size: number): number {
  const [first] = points;
  if (first === undefined || size <= first[0]) return first?.[1] ?? 0;
  const above = points.findIndex(([at]) => at >= size);
  const at = above === -1 ? points.length - 1 : above;
  const [from, to] = [points[at - 1], points[at]];
  // One point alone: nothing is known of a batch but that it takes no less than its parts.
  if (from === undefined || to === undefined) return (first[1] * size) / first[0];
  return from[1] + ((to[1] - from[1]) / (to[0] - from[0])) * (size - from[0]);
}

/** Errors: RangeError where something is asked for that nobody has measured. */
export function requireTimesFor(
  profile: NodeProfile,
  asked: { readonly match: number; readonly search: number },
): void {
  const needed = { match: "match_ms", search: "embed_texts_ms" } as const;
  for (const [task, field] of Object.entries(needed)) {
    if (asked[task as keyof typeof needed] === 0 || profile[field] !== undefined) continue;
    throw new RangeError(`The mix has a share of ${task}, and the profile no ${field}.`);
  }
}

const benchSchema = z.looseObject({
  format: z.literal("blip2-edge/bench/v1"),
  machine: z.looseObject({ cpu: z.string(), cores: z.number() }),
  settings: z.looseObject({ provider: z.string() }),
  artifact: z.looseObject({ name: z.string(), precision: z.string() }),
  stages: z.array(z.looseObject({ stage: z.string(), batch: z.number(), seconds: z.number() })),
});
type Bench = z.infer<typeof benchSchema>;

const msOf = ({ stages }: Bench, stage: string, sizeOf = (batch: number) => batch): Points =>
  stages
    .filter((each) => each.stage === stage)
    .toSorted((a, b) => a.batch - b.batch)
    .map(({ batch, seconds }) => [sizeOf(batch), seconds * 1000]);

/** The start token stands behind the picture's. */
const promptTokens = 33;

function profileOfBench(bench: Bench): NodeProfile {
  const [vision, qFormer] = [msOf(bench, "vision"), msOf(bench, "qformer")];
  return nodeProfileSchema.parse({
    format: "blip2-edge/node-profile/v1",
    source: `blip2 bench, ${bench.artifact.name} (${bench.artifact.precision}) on ${bench.machine.cores} cores of ${bench.machine.cpu}, ${bench.settings.provider}`,
    look_ms: vision.map(([size, ms]) => [size, ms + timeAt(qFormer, size)]),
    prefill_ms: msOf(bench, "prefill", (batch) => batch * promptTokens),
    step_ms: msOf(bench, "decode"),
  });
}

/** Reads a profile, or what `blip2 bench --json` or `--out` wrote. Throws ZodError for anything else. */
export function readProfile(json: unknown): NodeProfile {
  const bench = benchSchema.safeParse(json);
  return bench.success ? profileOfBench(bench.data) : nodeProfileSchema.parse(json);
}
