// Requests to every operation of an OpenAPI document: as it asks for, nearly so, and hostile; with its own kind
// of body, with another, with none, with broken ones.
import * as fc from "fast-check";
import type { OpenApiDocument, Operation, Parameter } from "@blip2-edge/shared/openapi";
import {
  nearly,
  perhaps,
  strangeValue,
  validValue,
  type Hints,
  type SchemaWorld,
} from "./schema-values.ts";

export interface FuzzRequest {
  readonly operationId: string;
  readonly method: string;
  /** With its query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer> | undefined;
}

export interface FuzzWorld extends Omit<SchemaWorld, "hints"> {
  readonly hintsFor: (operationId: string) => Hints;
  /** Values of Authorization: mostly a good one. */
  readonly authorizations: fc.Arbitrary<string | undefined>;
  /** Files for the part `image`. */
  readonly files: fc.Arbitrary<Uint8Array>;
}

interface Place {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}

export function placesOf(document: OpenApiDocument): Place[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      operation,
    })),
  );
}

export function requestTo(place: Place, fuzzed: FuzzWorld): fc.Arbitrary<FuzzRequest> {
  const { path, method, operation } = place;
  const world = { ...fuzzed, hints: fuzzed.hintsFor(operation.operationId) };
  return fc
    .record({
      parameters: parametersOf(operation.parameters, world),
      authorization: world.authorizations,
      body: bodyOf(operation, world),
      more: fc.oneof(
        { weight: 8, arbitrary: fc.constant({}) },
        { weight: 1, arbitrary: strangeHeaders },
      ),
    })
    .map(({ parameters, authorization, body, more }) => ({
      operationId: operation.operationId,
      method,
      url: parameters.path(path),
      headers: {
        ...parameters.headers,
        ...body.headers,
        ...more,
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: body.content,
    }));
}

const strangeHeaders: fc.Arbitrary<Record<string, string>> = fc.constantFrom<
  Record<string, string>[]
>(
  { accept: "text/event-stream" },
  { "if-none-match": '*, "x", W/"y"' },
  { "cache-control": "no-store" },
  { "cache-control": 'max-age="0", no-cache=x, ;;;' },
  { "content-encoding": "gzip" },
  { traceparent: "00-zz" },
  { "idempotency-key": '"fuzz' },
  { "content-length-hint": "9".repeat(400) },
  { range: "bytes=0-" },
  { "x-http-method-override": "DELETE" },
);

/** Few of the optional ones or many; mostly as they should be, the rest strange, as text. */
const parametersOf = (parameters: readonly Parameter[], world: SchemaWorld) =>
  fc.oneof(...[12, 2].map((weight) => someParameters(parameters, world, weight)));

function someParameters(
  parameters: readonly Parameter[],
  world: SchemaWorld,
  optionalWeight: number,
) {
  const values = parameters.map((parameter) => {
    const { name, in: where, required, schema } = parameter;
    const good = validValue(schema, world, name).map(String);
    const odd = fc.oneof(
      fc.constantFrom(
        "",
        " ",
        "true",
        "-1",
        "NaN",
        "null",
        "a/b",
        "..",
        "%2e%2e",
        "a".repeat(3000),
      ),
      fc.string({ maxLength: 20 }),
    );
    const value = fc.oneof({ weight: 6, arbitrary: good }, { weight: 1, arbitrary: odd });
    const given = required ? value : perhaps(value, optionalWeight);
    return given.map((text) => ({ name, where, text }));
  });
  const extra = perhaps(fc.tuple(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 })), 12);
  return fc.tuple(fc.tuple(...values), extra).map(([all, unknown]) => {
    const at = (place: string) =>
      all.flatMap(({ name, where, text }) =>
        where === place && text !== undefined ? [[name, text] as const] : [],
      );
    const search = new URLSearchParams(Object.fromEntries(at("query")));
    if (unknown !== undefined) search.append(...unknown);
    return {
      headers: Object.fromEntries(
        // A header holds no line end and nothing beyond Latin-1.
        at("header").map(([name, text]) => [name, text.replaceAll(/[^\x20-\x7e]/g, "").trim()]),
      ),
      path: (template: string) => {
        const filled = at("path").reduce(
          (path, [name, text]) => path.replace(`{${name}}`, () => segmentOf(text)),
          template,
        );
        const query = search.toString();
        return query === "" ? filled : `${filled}?${query}`;
      },
    };
  });
}

/** A segment of a path. Dots alone, or nothing, would be another path before it is sent. */
const segmentOf = (text: string): string =>
  /^\.{0,2}$/.test(text) ? `${text}%20` : encodeURIComponent(text);

interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly content: string | Uint8Array<ArrayBuffer> | undefined;
}

type WorldWithFiles = SchemaWorld & Pick<FuzzWorld, "files">;

function bodyOf({ requestBody }: Operation, world: WorldWithFiles): fc.Arbitrary<Body> {
  if (requestBody === undefined) return fc.constant({ headers: {}, content: undefined });
  const json = requestBody.content["application/json"];
  const form = requestBody.content["multipart/form-data"];
  if (json === undefined) throw new Error("a body that is not JSON at all");
  const valid = validValue(json.schema, world);
  const asJson = (value: fc.Arbitrary<unknown>) =>
    value.map((content): Body => ({
      headers: { "content-type": "application/json" },
      content: JSON.stringify(content) ?? "",
    }));
  const kinds: { weight: number; arbitrary: fc.Arbitrary<Body> }[] = [
    { weight: 8, arbitrary: asJson(valid) },
    { weight: 6, arbitrary: asJson(nearly(valid)) },
    { weight: 2, arbitrary: asJson(strangeValue) },
    { weight: 2, arbitrary: brokenBody(asJson(valid)) },
  ];
  const options = form?.schema.properties?.["request"];
  if (options !== undefined) {
    const good = validValue(options, world);
    kinds.push({ weight: 6, arbitrary: multipart(fc.oneof(good, nearly(good)), world) });
  }
  return fc.oneof(...kinds);
}

/** Cut short, of another type, of none, not UTF-8, nested without end. */
function brokenBody(body: fc.Arbitrary<Body>): fc.Arbitrary<Body> {
  const type = "application/json";
  return fc.oneof(
    body.map(({ headers, content }) => ({ headers, content: String(content).slice(0, -1) })),
    fc
      .tuple(
        body,
        fc.constantFrom("text/plain", "application/xml", "multipart/form-data", "", "a/b; c=d"),
      )
      .map(([{ content }, other]) => ({ headers: { "content-type": other }, content })),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => ({
      headers: { "content-type": type },
      content: new Uint8Array(bytes),
    })),
    fc.constantFrom<Body>(
      { headers: { "content-type": type }, content: "" },
      { headers: { "content-type": type }, content: "[".repeat(20_000) },
      { headers: { "content-type": type }, content: '{"__proto__":{"a":1},"a":1,"a":2}' },
      {
        headers: { "content-type": "multipart/form-data; boundary=x" },
        content: "--x\r\n\r\n--x--",
      },
      { headers: { "content-type": "multipart/form-data; boundary=x" }, content: "--y" },
    ),
  );
}

function multipart(
  options: fc.Arbitrary<unknown>,
  world: Pick<FuzzWorld, "files">,
): fc.Arbitrary<Body> {
  return fc
    .record({
      request: fc.option(options, { nil: undefined, freq: 8 }),
      files: fc.array(world.files, { minLength: 0, maxLength: 2 }),
      name: fc.oneof(
        { weight: 9, arbitrary: fc.constant("image") },
        { weight: 1, arbitrary: fc.constant("file") },
      ),
    })
    .map(({ request, files, name }) => {
      const boundary = "fuzz-boundary";
      const parts: Uint8Array[] = [];
      const text = (line: string): void => void parts.push(new TextEncoder().encode(line));
      if (request !== undefined) {
        text(`--${boundary}\r\nContent-Disposition: form-data; name="request"\r\n\r\n`);
        text(`${JSON.stringify(request) ?? ""}\r\n`);
      }
      for (const file of files) {
        text(
          `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="a"\r\nContent-Type: image/jpeg\r\n\r\n`,
        );
        parts.push(file);
        text("\r\n");
      }
      text(`--${boundary}--\r\n`);
      return {
        headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
        content: new Uint8Array(Buffer.concat(parts)),
      };
    });
}
