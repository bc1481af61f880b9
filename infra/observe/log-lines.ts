// Reads from the sources which events and fields a log can have: objects that are written as a line, and fields
// that are set on one. What it cannot read, a computed name or a spread value, it names, so that a test can say
// what stands behind it. It knows the few ways in which our code writes lines, and no others.
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import path from "node:path";
import { parseSync } from "oxc-parser";

export interface LogLines {
  readonly events: Set<string>;
  readonly fields: Set<string>;
  /** The source of each name that is computed and of each value that is spread. */
  readonly unread: Set<string>;
}

/** A node of ESTree, as loosely as it is walked here. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [member: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string";
const nodesOf = (value: unknown): Node[] => (Array.isArray(value) ? value.filter(isNode) : []);
const nameOf = (value: unknown): unknown => (isNode(value) ? value["name"] : undefined);

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of Object.values(node)) {
    for (const each of Array.isArray(child) ? child : [child]) if (isNode(each)) yield* walk(each);
  }
}

/** The strings that an expression can be, or undefined when it can be others. */
function textsOf(node: unknown): string[] | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "Literal" && typeof node["value"] === "string") return [node["value"]];
  if (node.type !== "ConditionalExpression") return undefined;
  const [one, other] = [textsOf(node["consequent"]), textsOf(node["alternate"])];
  return one === undefined || other === undefined ? undefined : [...one, ...other];
}

function reader(source: string, into: LogLines) {
  const unread = (node: Node): void => {
    const text = source.slice(node.start, node.end).replaceAll(/\s+/g, " ");
    into.unread.add(text.length > 40 ? `${text.slice(0, 40)}…` : text);
  };
  /** Its names and, of `event`, its values; through what is spread as far as it stands there. */
  const readObject = (node: Node): void => {
    if (node.type === "ParenthesizedExpression") {
      if (isNode(node["expression"])) readObject(node["expression"]);
      return;
    }
    if (node.type === "ConditionalExpression") {
      for (const side of [node["consequent"], node["alternate"]])
        if (isNode(side)) readObject(side);
      return;
    }
    if (node.type !== "ObjectExpression") return unread(node);
    for (const property of nodesOf(node["properties"])) {
      const { key, value, argument } = property;
      if (property.type === "SpreadElement") {
        if (isNode(argument)) readObject(argument);
        continue;
      }
      const names =
        isNode(key) && property["computed"] !== true && key.type === "Identifier"
          ? [String(key["name"])]
          : textsOf(key);
      if (names === undefined && isNode(key)) unread(key);
      for (const name of names ?? []) into.fields.add(name);
      if (names?.includes("event") === true)
        for (const text of textsOf(value) ?? []) into.events.add(text);
    }
  };
  const readName = (node: unknown): void => {
    const names = textsOf(node);
    if (names === undefined && isNode(node)) unread(node);
    for (const name of names ?? []) into.fields.add(name);
  };
  return { readObject, readName };
}

const isObject = (node: unknown): node is Node => isNode(node) && node.type === "ObjectExpression";
/** Whether it, or an object that is spread into it, has the key `event`. */
const hasEvent = (node: Node): boolean =>
  nodesOf(node["properties"]).some(({ type, key, argument }) =>
    type === "SpreadElement" ? isObject(argument) && hasEvent(argument) : nameOf(key) === "event",
  );

/** The Worker's ways: an object given to who writes lines, a LogEvent, a field of `event` that is set. */
function readWorker(program: Node, source: string, into: LogLines): void {
  const { readObject, readName } = reader(source, into);
  for (const node of walk(program)) {
    if (node.type === "CallExpression") {
      const [first] = nodesOf(node["arguments"]);
      const isWriter = ["writeEvent", "tell"].includes(String(nameOf(node["callee"])));
      if (isWriter && isObject(first) && hasEvent(first)) readObject(first);
    } else if (node.type === "VariableDeclarator") {
      const { id, init } = node;
      const declared = isNode(id) ? source.slice(id.start, id.end) : "";
      const isLine = declared.endsWith(": LogEvent") || declared === "event";
      if (isLine && isObject(init) && hasEvent(init)) readObject(init);
    } else if (node.type === "AssignmentExpression") {
      const { left } = node;
      if (!isNode(left) || left["computed"] !== true) continue;
      const { object, property } = left;
      const of = isNode(object) && object.type === "MemberExpression" ? object["property"] : object;
      if (nameOf(of) === "event") readName(property);
    }
  }
}

/** A node's ways: a logger that is called with an event and an object, and the objects of the request's line. */
function readDoor(program: Node, source: string, into: LogLines): void {
  const { readObject } = reader(source, into);
  for (const node of walk(program)) {
    if (node.type === "CallExpression") {
      const { callee } = node;
      const [first, second, third] = nodesOf(node["arguments"]);
      const called =
        isNode(callee) && callee.type === "MemberExpression" ? callee["object"] : callee;
      const [event] = textsOf(first) ?? [];
      if (nameOf(called) === "log" && event !== undefined && /^[a-z_]+$/.test(event)) {
        into.events.add(event);
        if (second !== undefined) readObject(second);
      }
      if (nameOf(called) === "logRequest" && third !== undefined) readObject(third);
    } else if (node.type === "VariableDeclarator" && nameOf(node["id"]) === "line") {
      if (isObject(node["init"])) readObject(node["init"]);
    } else if (node.type === "FunctionDeclaration" && nameOf(node["id"]) === "jobFields") {
      for (const inner of walk(node)) {
        if (inner.type === "ReturnStatement" && isObject(inner["argument"])) {
          readObject(inner["argument"]);
        }
      }
    }
  }
}

const sides = {
  node: { files: "gpu-node/src/{engine,http,observe}/*.ts", read: readDoor },
  worker: { files: "edge/src/**/*.ts", read: readWorker },
} as const;

/** Everything that one side's sources can write. */
export async function logLines(root: string, side: keyof typeof sides): Promise<LogLines> {
  const { files, read } = sides[side];
  const into: LogLines = { events: new Set(), fields: new Set(), unread: new Set() };
  for await (const file of glob(files, { cwd: root })) {
    if (file.endsWith(".test.ts")) continue;
    const source = readFileSync(path.join(root, file), "utf8");
    read(parseSync(file, source).program as unknown as Node, source, into);
  }
  return into;
}
