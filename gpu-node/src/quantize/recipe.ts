// A recipe says how each part of a model is to be stored. Four are built in, others come as JSON; both are
// spelled out here, so that a later change of what "int4" stands for is another revision.
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import {
  blockSizes,
  type Precision,
  type PartStorage,
  precisionSchema,
  type Storage,
} from "../artifact/precision.ts";

export interface Recipe {
  readonly name: string;
  /** Of the parts that it names. */
  readonly parts: Readonly<Record<string, PartStorage>>;
  /** Of all others. */
  readonly others: PartStorage;
}

export const precisions = ["fp32", "fp16", "int8", "int4"] as const;
export type PrecisionName = (typeof precisions)[number];

/** Parts that a recipe may name; a model has those of its family. */
const partNames = ["vision", "qformer", "encoder", "decoder", "text", "itm"] as const;

/** Measured in docs/decisions/0050. */
const defaultBlock = 128;

const storageInput = z
  .preprocess(
    (value) => (typeof value === "string" ? { precision: value } : value),
    z.strictObject({
      precision: z.enum(precisions),
      block: z.literal(blockSizes).optional(),
      zero_points: z.boolean().optional(),
    }),
  )
  .transform(({ precision, block, zero_points: zeroPoints }, context): Storage => {
    if (precision === "int8" || precision === "int4") {
      return {
        bits: precision === "int8" ? 8 : 4,
        block: block ?? defaultBlock,
        // They cost a sixteenth of a bit at most and gain where steps are coarse.
        zero_points: zeroPoints ?? precision === "int4",
      };
    }
    for (const [field, value] of Object.entries({ block, zero_points: zeroPoints })) {
      if (value === undefined) continue;
      context.addIssue({ code: "custom", path: [field], message: `${precision} has no blocks` });
    }
    return precision;
  });

/** What is looked up and what scores the vocabulary decide every token: never below 8 bits by default. */
const careful = (matrices: Storage): Storage =>
  typeof matrices === "string" || matrices.bits === 8
    ? matrices
    : { bits: 8, block: matrices.block, zero_points: false };

const partInput = z
  .preprocess(
    (value) => (typeof value === "string" ? { matrices: value } : value),
    z.strictObject({
      matrices: storageInput,
      tables: storageInput.optional(),
      head: storageInput.optional(),
    }),
  )
  .transform(({ matrices, tables, head = careful(matrices) }): PartStorage => ({
    matrices,
    head,
    // One form for both where nothing else is asked: a tied head then shares the table's bytes.
    tables: tables ?? head,
  }));

const recipeInput = z.strictObject({
  name: precisionSchema.shape.name,
  parts: z.partialRecord(z.enum(partNames), partInput).default({}),
  others: partInput.default({ matrices: "fp32", tables: "fp32", head: "fp32" }),
});

/**
 * The Q-Former is a thirtieth of a model and all that the language model sees of a picture: its norms stand
 * in the residual stream, so that outliers reach every product. Small blocks of 8 bits, measured in 0050.
 */
const bridge = { precision: "int8", block: 32 } as const;
const bridgeParts = Object.fromEntries(
  ["qformer", "text", "itm"].map((part) => [part, { matrices: bridge }]),
);

export const builtInRecipe = (name: PrecisionName): Recipe =>
  recipeInput.parse({
    name,
    parts: name === "int8" || name === "int4" ? bridgeParts : {},
    others: name,
  });

/** Errors: `usage` that names every faulty field; `about` says where the recipe comes from. */
export function parseRecipe(json: unknown, about: string): Recipe {
  const parsed = recipeInput.safeParse(json);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`,
  );
  throw new AppError("usage", `The recipe ${about} is faulty: ${faults.join("; ")}.`);
}

export const partStorage = (recipe: Recipe, part: string): PartStorage =>
  recipe.parts[part] ?? recipe.others;

/** What the manifest says of a model with these parts. */
export function precisionOf(recipe: Recipe, parts: Iterable<string>): Precision {
  const spelled = [...parts].map((part) => {
    const storage = partStorage(recipe, part);
    const { matrices, tables, head } = storage;
    const alike = typeof matrices === "string" && matrices === tables && matrices === head;
    return [part, alike ? matrices : storage] as const;
  });
  return { name: recipe.name, parts: Object.fromEntries(spelled) };
}
