// The OpenAPI document as one HTML page without a script: everything is in it, nothing is loaded. It shows
// what the document says and knows no route of its own.
import type {
  Answer,
  JsonSchema,
  OpenApiDocument,
  Operation,
  Parameter,
} from "@blip2-edge/shared/openapi";
import { escape } from "../html.ts";
import { referenceStyle } from "./style.ts";

/** Text in which `words` stand for code. */
const prose = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>");

interface Named {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

export function renderReference(document: OpenApiDocument): string {
  const operations: Named[] = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
    })),
  );
  const schemas = Object.entries(document.components.schemas);
  const title = String(document.info["title"]);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}: the API</title>
<style>${referenceStyle}</style>
</head>
<body>
<header>
<h1>${escape(title)}: the API</h1>
<p>${prose(String(document.info["description"]))}</p>
<p>For programs: <a href="openapi.json">openapi.json</a>. A request carries <code>Authorization: Bearer KEY</code> unless it says otherwise.</p>
</header>
<nav aria-label="Routes"><ul>
${operations.map(linkTo).join("\n")}
</ul></nav>
<main>
${operations.map(section).join("\n")}
<h2 id="schemas">Schemas</h2>
${schemas.map(([name, schema]) => schemaSection(name, schema)).join("\n")}
</main>
</body>
</html>
`;
}

const linkTo = ({ method, path, operation }: Named): string =>
  `<li><a href="#${escape(operation.operationId)}"><b>${method}</b> ${escape(path)}</a></li>`;

function section({ method, path, operation }: Named): string {
  const { operationId, summary, parameters, requestBody, responses } = operation;
  const bodies = Object.entries(requestBody?.content ?? {}).map(
    ([type, { schema }]) => `<li><code>${escape(type)}</code>: ${shape(schema)}</li>`,
  );
  return `<section id="${escape(operationId)}">
<h2><b>${method}</b> ${escape(path)}</h2>
<p>${prose(summary)}</p>
<p class="scope">${scopeOf(operation)}</p>
${parameters.length === 0 ? "" : fieldTable("Parameters", parameters.map(rowOfParameter))}
${bodies.length === 0 ? "" : `<h3>Body</h3>\n<ul>${bodies.join("")}</ul>`}
<h3>Answers</h3>
<table><tbody>
${Object.entries(responses).map(answerRow).join("\n")}
</tbody></table>
</section>`;
}

function scopeOf({ security }: Operation): string {
  const scopes = security.flatMap((each) => Object.values(each).flat());
  if (security.length === 0) return "Needs no key.";
  const orLink = security.some((each) => Object.keys(each).length === 0);
  return scopes.length === 0
    ? "Any valid key."
    : `A key with the scope ${scopes.map((scope) => `<code>${escape(scope)}</code>`).join(", ")}${orLink ? ", or a signed link" : ""}.`;
}

function answerRow([status, { description, content }]: [string, Answer]): string {
  const shapes = Object.entries(content ?? {})
    .filter(([type]) => type !== "application/problem+json")
    .map(([type, { schema }]) => `<br><code>${escape(type)}</code>: ${shape(schema)}`);
  return `<tr><th scope="row">${escape(status)}</th><td>${prose(description)}${shapes.join("")}</td></tr>`;
}

type Row = readonly [name: string, required: boolean, schema: JsonSchema, note: string];
const rowOfParameter = ({ name, in: where, required, schema, description }: Parameter): Row => [
  name,
  required,
  schema,
  [{ path: "In the path.", header: "A header.", query: "" }[where], description ?? ""]
    .join(" ")
    .trim(),
];

function fieldTable(title: string, rows: readonly Row[]): string {
  const lines = rows.map(
    ([name, required, schema, note]) =>
      `<tr><th scope="row"><code>${escape(name)}</code>${required ? ' <span title="required">*</span>' : ""}</th><td>${shape(schema)}</td><td>${prose(note)}</td></tr>`,
  );
  return `<h3>${title}</h3>\n<table><tbody>\n${lines.join("\n")}\n</tbody></table>`;
}

function schemaSection(name: string, schema: JsonSchema): string {
  const forms = schema.anyOf ?? [schema];
  return `<section id="schema-${escape(name)}">
<h3>${escape(name)}</h3>
${schema.description === undefined ? "" : `<p>${prose(schema.description)}</p>`}
${forms.map(schemaForm).join("\n<p>or</p>\n")}
</section>`;
}

function schemaForm(schema: JsonSchema): string {
  const { properties, required } = schema;
  if (properties === undefined) return `<p>${shape(schema)}</p>`;
  const rows = Object.entries(properties).map(([name, field]): Row => [
    name,
    required?.includes(name) ?? false,
    field,
    field.description ?? "",
  ]);
  return fieldTable("", rows).replace("<h3></h3>\n", "");
}

const bounds = {
  minimum: "at least",
  exclusiveMinimum: "more than",
  maximum: "at most",
  minLength: "at least, in characters,",
  maxLength: "at most, in characters,",
  minItems: "entries at least",
  maxItems: "entries at most",
} as const;

/** A schema in a few words, with a link where it has a name. */
function shape(schema: JsonSchema): string {
  const { $ref, type, anyOf, items, properties, required } = schema;
  if ($ref !== undefined) {
    const name = $ref.slice($ref.lastIndexOf("/") + 1);
    return `<a href="#schema-${escape(name)}">${escape(name)}</a>`;
  }
  if (anyOf !== undefined) return anyOf.map(shape).join(" or ");
  const choices = schema["const"] === undefined ? schema["enum"] : [schema["const"]];
  if (Array.isArray(choices)) {
    return choices.map((value) => `<code>${escape(JSON.stringify(value))}</code>`).join(", ");
  }
  const words = Object.entries(bounds).flatMap(([keyword, word]) =>
    schema[keyword] === undefined ? [] : [`${word} ${JSON.stringify(schema[keyword])}`],
  );
  const limits = words.length === 0 ? "" : ` <small>(${escape(words.join(", "))})</small>`;
  if (items !== undefined) return `list of ${shape(items)}${limits}`;
  if (properties !== undefined) {
    const fields = Object.entries(properties).map(
      ([name, field]) =>
        `<li><code>${escape(name)}</code>${required?.includes(name) === true ? " *" : ""}: ${shape(field)}</li>`,
    );
    return `object<ul>${fields.join("")}</ul>`;
  }
  return `${escape(typeof type === "string" ? type : "anything")}${limits}`;
}
