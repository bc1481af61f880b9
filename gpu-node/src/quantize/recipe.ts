// A recipe says how each part of a model is to be stored. Four are built in, others come as JSON; both are
// spelled out here, so that a later change of what "int4" stands for is another revision.
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import {
  blockSizes,
  type MatrixStorage,
  type Precision,
  type PartStorage,
  precisionSchema,
  rotations,
  type Storage,
} from "../artifact/precision.ts";

export interface Recipe {
  readonly name: string;
  /** Of the parts that it names. */
  readonly parts: Readonly<Record<string, PartStorage>>;
  /** Of all others. */
  readonly others: PartStorage;
}

const storages = ["fp32", "fp16", "int8", "int4"] as const;
/** `mixed` is int4 with a vision tower in rows of 8 bits, which a CPU multiplies fastest. */
export const precisions = [...storages, "mixed"] as const;
export type PrecisionName = (typeof precisions)[number];

/** Parts that a recipe may name; a model has those of its family. */
const partNames = ["vision", "qformer", "encoder", "decoder", "text", "itm"] as const;

/** Measured in docs/decisions/0050. */
const defaultBlock = 128;
/** Measured in docs/decisions/0023. */
const defaultRotation = 32;

const fields = {
  block: z.literal(blockSizes).optional(),
  zero_points: z.boolean().optional(),
  rotation: z.literal(rotations).optional(),
};
interface StorageFields {
  readonly precision: (typeof storages)[number] | "int8-rows";
  readonly block?: (typeof blockSizes)[number] | undefined;
  readonly zero_points?: boolean | undefined;
  readonly rotation?: (typeof rotations)[number] | undefined;
}
const orWord = (value: unknown): unknown =>
  typeof value === "string" ? { precision: value } : value;

/** Spells a storage out; what does not go with its precision is a fault of its field. */
function spellOut(given: StorageFields, context: z.RefinementCtx): MatrixStorage {
  const { precision, block, zero_points: zeroPoints, rotation } = given;
  const refuse = (stranger: Readonly<Record<string, unknown>>, what: string): void => {
    for (const [field, value] of Object.entries(stranger)) {
      if (value === undefined) continue;
      context.addIssue({ code: "custom", path: [field], message: `${precision} has no ${what}` });
    }
  };
  switch (precision) {
    case "int8-rows":
      refuse({ block, zero_points: zeroPoints }, "blocks");
      return { bits: 8, rotation: rotation ?? defaultRotation };
    case "int8":
    case "int4":
      refuse({ rotation }, "rotation");
      return {
        bits: precision === "int8" ? 8 : 4,
        block: block ?? defaultBlock,
        // They cost a sixteenth of a bit at most and gain where steps are coarse.
        zero_points: zeroPoints ?? precision === "int4",
      };
    default:
      refuse({ block, zero_points: zeroPoints }, "blocks");
      refuse({ rotation }, "rotation");
      return precision;
  }
}

const storageInput = z
  .preprocess(orWord, z.strictObject({ precision: z.enum(storages), ...fields }))
  .transform((given, context): Storage => {
    const spelled = spellOut(given, context);
    if (typeof spelled === "string" || "block" in spelled) return spelled;
    throw new Error(`${given.precision} is for matrices`);
  });

/** For matrices also: rows of 8 bits. */
const matrixInput = z
  .preprocess(orWord, z.strictObject({ precision: z.enum([...storages, "int8-rows"]), ...fields }))
  .transform(spellOut);

/** What is looked up and what scores the vocabulary decide every token: never below 8 bits by default. */
function careful(matrices: MatrixStorage): Storage {
  if (typeof matrices === "string") return matrices;
  if ("rotation" in matrices) return { bits: 8, block: defaultBlock, zero_points: false };
  return matrices.bits === 8 ? matrices : { bits: 8, block: matrices.block, zero_points: false };
}

const partInput = z
  .preprocess(
    (value) => (typeof value === "string" ? { matrices: value } : value),
    z.strictObject({
      matrices: matrixInput,
      tables: storageInput.optional(),
      head: storageInput.optional(),
      cache: z.enum(["fp32", "fp16"]).optional(),
    }),
  )
  .transform(({ matrices, tables, head = careful(matrices), cache }): PartStorage => ({
    matrices,
    head,
    // One form for both where nothing else is asked: a tied head then shares the table's bytes.
    tables: tables ?? head,
    ...(cache === undefined ? {} : { cache }),
  }));

const recipeInput = z
  .strictObject({
    name: precisionSchema.shape.name,
    parts: z.partialRecord(z.enum(partNames), partInput).default({}),
    others: partInput.default({ matrices: "fp32", tables: "fp32", head: "fp32" }),
  })
  .superRefine(({ parts, others }, context) => {
    for (const [part, { cache }] of Object.entries({ ...parts, others })) {
      if (cache === undefined || part === "decoder") continue;
      const path = part === "others" ? [part, "cache"] : ["parts", part, "cache"];
      context.addIssue({ code: "custom", path, message: "only the part decoder has a cache" });
    }
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
    parts: {
      ...(name === "fp32" || name === "fp16" ? {} : bridgeParts),
      ...(name === "mixed" ? { vision: "int8-rows" } : {}),
    },
    others: name === "mixed" ? "int4" : name,
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
    const { matrices, tables, head, cache } = storage;
    const alike =
      typeof matrices === "string" &&
      matrices === tables &&
      matrices === head &&
      cache === undefined;
    return [part, alike ? matrices : storage] as const;
  });
  return { name: recipe.name, parts: Object.fromEntries(spelled) };
}
