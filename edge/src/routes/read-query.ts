// Query parameters as the fields of a request: numbers where the API has numbers, each name once.
import { generationFields } from "@blip2-edge/shared/contracts/generation";
import { invalidRequest } from "./validate.ts";

/** Throws invalid_request for a name that is given twice. What is unknown the schema refuses by name. */
export function readQuery(url: string): Record<string, string | number> {
  const { searchParams } = new URL(url);
  const fields: Record<string, string | number> = {};
  for (const [name, value] of searchParams) {
    if (Object.hasOwn(fields, name)) {
      throw invalidRequest([{ field: name, message: "was given more than once" }]);
    }
    const isNumber = Object.hasOwn(generationFields, name) && /^-?\d+(\.\d+)?$/.test(value);
    Object.defineProperty(fields, name, {
      value: isNumber ? Number(value) : value,
      enumerable: true,
    });
  }
  return fields;
}
