// One way to parse what a caller sent: the schema's result, or one invalid_request that lists every
// fault by its field in words that need no knowledge of schemas. Values are never repeated in it.
import type { z } from "zod";
import { AppError } from "../problem.ts";

export interface FieldFault {
  /** `questions[1]`; empty for the request as a whole. */
  readonly field: string;
  readonly message: string;
}

const maxFaults = 20;

/** invalid_request with every fault in `errors`, and all of them in `detail` too. */
export function invalidRequest(faults: readonly FieldFault[], what = "The request"): AppError {
  const errors = faults.slice(0, maxFaults);
  const words = errors.map(({ field, message }) =>
    field === "" ? `${what} ${message}` : `\`${field}\` ${message}`,
  );
  const more = faults.length - errors.length;
  if (more > 0) words.push(`and ${more} more faults`);
  return new AppError("invalid_request", `${words.join("; ")}.`, { errors });
}

/** Parses with the schema. Throws invalid_request that names every fault. */
export function parseOrRefuse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what?: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(faultsOf(parsed.error.issues, schema), what);
}

/**
 * The fields of a query string, each given once. Throws invalid_request for a field that is repeated.
 */
export function queryFields(query: URLSearchParams): Record<string, string> {
  const fields = new Map<string, string>();
  const repeated = new Set<string>();
  for (const [name, value] of query) {
    if (fields.has(name)) repeated.add(name);
    fields.set(name, value);
  }
  if (repeated.size > 0) {
    throw invalidRequest(
      Array.from(repeated, (name) => ({
        field: shorten(name),
        message: "is given more than once",
      })),
      "The query",
    );
  }
  return Object.fromEntries(fields);
}

type Issue = z.core.$ZodIssue;

const faultsOf = (issues: readonly Issue[], schema: z.ZodType): FieldFault[] =>
  issues.flatMap((issue) =>
    issue.code === "unrecognized_keys" ? unknownFields(issue, schema) : faultOf(issue),
  );

function faultOf(issue: Issue): FieldFault[] {
  const field = fieldName(issue.path);
  switch (issue.code) {
    case "invalid_type":
      return [{ field, message: typeFault(issue.expected, issue.message) }];
    case "too_big":
      return [{ field, message: sizeFault(issue.origin, "at most", Number(issue.maximum)) }];
    case "too_small":
      return [{ field, message: tooSmall(issue) }];
    case "invalid_value":
      return [{ field, message: `must be ${issue.values.map(String).join(" or ")}` }];
    default:
      // Schemas give their own words where ours would not do; zod's begin with "Invalid".
      return [
        {
          field,
          message: issue.message.startsWith("Invalid")
            ? "is not written as it must be"
            : issue.message,
        },
      ];
  }
}

function tooSmall(issue: Extract<Issue, { code: "too_small" }>): string {
  const minimum = Number(issue.minimum);
  if (issue.origin === "string" && minimum === 1) return "is empty";
  if (issue.inclusive === false) return `must be more than ${minimum}`;
  return sizeFault(issue.origin, "at least", minimum);
}

function sizeFault(origin: string, bound: string, limit: number): string {
  const number = limit.toLocaleString("en-US");
  if (origin === "string") return `must have ${bound} ${number} characters`;
  if (origin === "array") return `must have ${bound} ${number} entries`;
  return `must be ${bound} ${number}`;
}

const typeNames: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "an object",
  array: "a list",
};

function typeFault(expected: string, message: string): string {
  if (message.endsWith("received undefined")) return "is missing";
  return `must be ${typeNames[expected] ?? expected}`;
}

/** `questions[1].text`, as a caller would write it. */
function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, step) => {
    if (typeof step === "number") return `${name}[${step}]`;
    return name === "" ? String(step) : `${name}.${String(step)}`;
  }, "");
}

function unknownFields(
  issue: Extract<Issue, { code: "unrecognized_keys" }>,
  schema: z.ZodType,
): FieldFault[] {
  const prefix = fieldName(issue.path);
  const known = issue.path.length === 0 ? fieldsOf(schema) : [];
  return issue.keys.map((key) => {
    const meant = known.find((name) => isNear(key.toLowerCase(), name));
    const hint = meant === undefined ? "" : ` (did you mean \`${meant}\`?)`;
    const name = shorten(key);
    return {
      field: prefix === "" ? name : `${prefix}.${name}`,
      message: `is an unknown field${hint}`,
    };
  });
}

const shorten = (name: string) => (name.length > 64 ? `${name.slice(0, 64)}…` : name);

function fieldsOf(schema: z.ZodType): string[] {
  const shape = (schema as { readonly shape?: unknown }).shape;
  return typeof shape === "object" && shape !== null ? Object.keys(shape) : [];
}

/** Whether at most two single-letter changes turn one name into the other (Levenshtein). */
function isNear(given: string, name: string): boolean {
  if (Math.abs(given.length - name.length) > 2 || given.length > 64) return false;
  let above = Array.from({ length: name.length + 1 }, (_, index) => index);
  for (let row = 1; row <= given.length; row++) {
    const current = [row];
    for (let column = 1; column <= name.length; column++) {
      const same = given[row - 1] === name[column - 1] ? 0 : 1;
      current.push(
        Math.min(above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + same),
      );
    }
    above = current;
  }
  return (above[name.length] ?? 3) <= Math.min(2, Math.floor(name.length / 3));
}
