// A schema as tools show it: its faults in the API's words, every field that is wrong and what it must be, and on
// the wire without what costs a model tokens and tells it nothing. What is left out is held to all the same.
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type { z } from "zod";

export function taught<Schema extends z.ZodType>(
  schema: Schema,
): StandardSchemaWithJSON<z.input<Schema>, z.output<Schema>> {
  const { jsonSchema } = schema["~standard"];
  return {
    "~standard": {
      version: 1,
      vendor: "blip2-edge",
      jsonSchema: {
        input: (options) => lean(jsonSchema.input(options)),
        output: (options) => lean(jsonSchema.output(options)),
      },
      validate: (value) => {
        try {
          return { value: parseOrRefuse(schema, value, "The call") };
        } catch (error) {
          if (error instanceof AppError) return { issues: [{ message: error.detail }] };
          throw error;
        }
      },
    },
  };
}

/** 2020-12 is the protocol's own dialect; patterns and bounds are told when they are missed. */
const leftOut = new Set([
  ...["$schema", "additionalProperties", "pattern", "propertyNames"],
  ...["minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum"],
]);

/** The keywords of a schema and of those within it; names of properties are no keywords. */
function lean(schema: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([keyword]) => !leftOut.has(keyword))
      .map(([keyword, value]) => [keyword, keyword === "properties" ? each(value) : within(value)]),
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const within = (value: unknown): unknown => (isObject(value) ? lean(value) : value);
const each = (value: unknown): unknown =>
  isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, within(schema)]))
    : value;
