// Values of a JSON Schema for fuzzing: such as it asks for, such as it asks for but in one place, and such as
// nobody asks for. Where only the world knows what is meaningful (an address that answers, a model that there
// is), `hints` say it by the property's name.
import * as fc from "fast-check";
import type { JsonSchema } from "@blip2-edge/shared/openapi";

export interface Hints {
  /** Meaningful values of properties of this name: texts, or whole values of another type. */
  readonly [property: string]: readonly unknown[];
}

export interface SchemaWorld {
  readonly schemas: Readonly<Record<string, JsonSchema>>;
  readonly hints: Hints;
}

const maxItems = 4;
const maxCharacters = 40;
const characters = ["a", "b", " ", "{}", "?", "é", "😀", "\n", '"'];

/** Values that the schema takes; what it cannot say (a refinement) they may still fail. */
export function validValue(
  schema: JsonSchema,
  world: SchemaWorld,
  property = "",
): fc.Arbitrary<unknown> {
  const { $ref, anyOf, oneOf, allOf, items, properties } = schema as JsonSchema & {
    oneOf?: JsonSchema[];
    allOf?: JsonSchema[];
  };
  if ($ref !== undefined) {
    const named = world.schemas[$ref.slice($ref.lastIndexOf("/") + 1)];
    if (named === undefined) throw new Error(`${$ref} leads nowhere`);
    return validValue(named, world, property);
  }
  const choices = anyOf ?? oneOf;
  if (choices !== undefined) {
    return fc.oneof(...choices.map((choice) => validValue(choice, world, property)));
  }
  if (allOf?.[0] !== undefined) return validValue(allOf[0], world, property);
  if (schema["const"] !== undefined) return fc.constant(schema["const"]);
  if (Array.isArray(schema["enum"])) return fc.constantFrom(...(schema["enum"] as unknown[]));
  switch (schema.type) {
    case "string":
      return stringOf(schema, (world.hints[property] ?? []).filter(isText));
    case "integer":
      return fc.integer(boundsOf(schema, 0, 100));
    case "number": {
      const { min, max } = boundsOf(schema, -1, 1);
      const minExcluded = schema["exclusiveMinimum"] === min;
      // Mostly such as people write.
      const plain = fc.integer({ min: Math.floor(min * 100) + 1, max: Math.floor(max * 100) });
      const any = fc.double({ min, max, minExcluded, noNaN: true });
      return fc.oneof(
        { weight: 4, arbitrary: plain.map((n) => n / 100) },
        { weight: 1, arbitrary: any },
      );
    }
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array": {
      const whole = (world.hints[property] ?? []).filter((hint) => Array.isArray(hint));
      const drawn = arrayOf(schema, items, world, property);
      return whole.length === 0 ? drawn : fc.oneof(fc.constantFrom<unknown[]>(...whole), drawn);
    }
    case "object":
      return objectOf(properties ?? {}, schema.required ?? [], schema, world);
    default:
      // `not: {}` is the schema of nothing; whoever asks for it has an array of none in mind.
      return schema["not"] === undefined ? fc.jsonValue({ maxDepth: 1 }) : fc.constant(null);
  }
}

function objectOf(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[],
  schema: JsonSchema,
  world: SchemaWorld,
): fc.Arbitrary<unknown> {
  const extra = schema["additionalProperties"];
  if (Object.keys(properties).length === 0 && typeof extra === "object" && extra !== null) {
    return fc.dictionary(fc.string({ maxLength: 8 }), validValue(extra as JsonSchema, world), {
      maxKeys: 3,
    });
  }
  const fields = Object.entries(properties).map(
    ([name, field]) => [name, validValue(field, world, name)] as const,
  );
  // With few of the optional fields or with many: a request with all of them is refused for one.
  return fc.oneof(
    ...[12, 2].map((weight) =>
      fc
        .record(
          Object.fromEntries(
            fields.map(([name, value]) => [
              name,
              required.includes(name) ? value : perhaps(value, weight),
            ]),
          ),
        )
        .map((record) =>
          Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)),
        ),
    ),
  );
}

/** Left out `weight` times as often as not. */
export const perhaps = <Value>(
  value: fc.Arbitrary<Value>,
  weight: number,
): fc.Arbitrary<Value | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

function arrayOf(
  schema: JsonSchema,
  items: JsonSchema | undefined,
  world: SchemaWorld,
  property: string,
): fc.Arbitrary<unknown[]> {
  const minLength = numberAt(schema, "minItems") ?? 0;
  const most = Math.max(maxItems, minLength);
  return fc.array(items === undefined ? fc.constant(1) : validValue(items, world, property), {
    minLength,
    maxLength: Math.min(numberAt(schema, "maxItems") ?? most, most),
  });
}

const isText = (hint: unknown): hint is string => typeof hint === "string";

function stringOf(schema: JsonSchema, hints: readonly string[]): fc.Arbitrary<string> {
  const pattern = schema["pattern"];
  const minLength = numberAt(schema, "minLength") ?? 0;
  const maxLength = Math.max(
    minLength,
    Math.min(numberAt(schema, "maxLength") ?? maxCharacters, maxCharacters),
  );
  const plain =
    typeof pattern === "string"
      ? fc.stringMatching(new RegExp(pattern), { size: "xsmall" })
      : fc.string({ minLength, maxLength, unit: fc.constantFrom(...characters) });
  return hints.length === 0
    ? plain
    : fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom(...hints) },
        { weight: 1, arbitrary: plain },
      );
}

const numberAt = (schema: JsonSchema, keyword: string): number | undefined =>
  typeof schema[keyword] === "number" ? schema[keyword] : undefined;

function boundsOf(schema: JsonSchema, lowest: number, highest: number) {
  const min = numberAt(schema, "minimum") ?? numberAt(schema, "exclusiveMinimum") ?? lowest;
  const max = numberAt(schema, "maximum") ?? Math.max(highest, min);
  return { min, max };
}

/** What no request should hold, to be put in the place of something. */
export const strangeValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[
      null,
      true,
      -1,
      0,
      1.5,
      1e308,
      Number.MAX_SAFE_INTEGER + 2,
      "",
      " ",
      "null",
      "\u0000",
      [],
      {},
    ],
    ...[
      "__proto__",
      "constructor",
      "\ud800",
      "a".repeat(9000),
      [[[[]]]],
      { toString: 1 },
      "../../etc",
    ],
    ...[
      "javascript:alert(1)",
      "http://127.0.0.1/",
      "file:///etc/passwd",
      "data:,",
      "img_",
      "%00",
      "' OR 1=1 --",
    ],
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** The same, but for one place in it: a field missing, one too many, or something strange. */
export function nearly(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc
    .tuple(value, fc.nat(), fc.constantFrom("drop", "add", "replace"), strangeValue, fc.string())
    .map(([whole, at, how, strange, name]) => changeAt(whole, at, how, strange, name));
}

type Change = "drop" | "add" | "replace";

function changeAt(
  value: unknown,
  at: number,
  how: Change,
  strange: unknown,
  name: string,
): unknown {
  if (typeof value !== "object" || value === null) return strange;
  const keys = Object.keys(value);
  const key = keys[at % Math.max(1, keys.length)];
  if (key === undefined || how === "add") {
    return Array.isArray(value)
      ? [...(value as unknown[]), strange]
      : { ...value, [name]: strange };
  }
  const inside = (value as Record<string, unknown>)[key];
  // Half of the time deeper, where there is a deeper.
  const deeper = typeof inside === "object" && inside !== null && at % 2 === 0;
  const changed = deeper ? changeAt(inside, at >> 3, how, strange, name) : strange;
  if (Array.isArray(value)) {
    const entries = value as unknown[];
    return how === "drop" && !deeper
      ? entries.filter((_, index) => String(index) !== key)
      : entries.map((entry, index) => (String(index) === key ? changed : entry));
  }
  const rest = Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
  return how === "drop" && !deeper ? rest : { ...rest, [key]: changed };
}
