// A golden of the protocol: everything that edge and node of one release said to each other, what each understood, and
// how each read: its schemas as they were, as JSON Schema. Made by make.ts, never changed once the release is out.
import { AppError, problemKinds, toProblem } from "@blip2-edge/shared/problem";
import {
  eventStreamType,
  readServerSentEvents,
  type ServerSentEvent,
} from "@blip2-edge/shared/sse";
import { textEventSchema } from "@blip2-edge/shared/contracts/stream";
import { framedType, readFrame } from "@blip2-edge/shared/wire/frame";
import { heartbeatResponseSchema, heartbeatSchema } from "@blip2-edge/shared/wire/heartbeat";
import {
  catalogSchema,
  embedRequestSchema,
  embedResponseSchema,
  inferRequestSchema,
  inferResponseSchema,
  matchRequestSchema,
  matchResponseSchema,
} from "@blip2-edge/shared/wire/protocol";
import { Ajv2020 } from "ajv/dist/2020.js";
import { z } from "zod";
import type { Fetch } from "../../../edge/src/nodes/exchange.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { announcingNode, edgeSide, hearingEdge, nodeSide } from "./sides.ts";

const messageSchema = z.strictObject({
  headers: z.record(z.string(), z.string()),
  /** The body, in base64 where it is no text. */
  text: z.string().optional(),
  base64: z.base64().optional(),
});
type Message = z.infer<typeof messageSchema>;

const exchangeSchema = z.strictObject({
  method: z.string(),
  url: z.string(),
  asked: messageSchema,
  status: z.int(),
  told: messageSchema,
});
export type RecordedExchange = z.infer<typeof exchangeSchema>;

export const goldenSchema = z.strictObject({
  version: z.string(),
  scenarios: z.record(
    z.string(),
    z.strictObject({ exchanges: z.array(exchangeSchema), understood: z.unknown() }),
  ),
  heartbeats: z.strictObject({
    exchanges: z.array(exchangeSchema),
    /** What the edge knew after each. */
    nodes: z.array(z.unknown()),
    pausesMs: z.array(z.number()),
  }),
  readers: z.record(z.string(), z.record(z.string(), z.unknown())),
});
export type Golden = z.infer<typeof goldenSchema>;

/** How each message is read today; requests strictly, answers leniently. */
const readers: Readonly<Record<string, z.ZodType>> = {
  "asked /v1/infer": inferRequestSchema,
  "asked /v1/match": matchRequestSchema,
  "asked /v1/embed": embedRequestSchema,
  "told /v1/infer": inferResponseSchema,
  "told /v1/match": matchResponseSchema,
  "told /v1/embed": embedResponseSchema,
  "told /v1/catalog": catalogSchema,
  "asked /internal/nodes/heartbeat": heartbeatSchema,
  "told /internal/nodes/heartbeat": heartbeatResponseSchema,
  text: textEventSchema,
  problem: z.looseObject({ code: z.enum(Object.keys(problemKinds)) }),
};

const asText = (type: string): boolean => !type.startsWith(framedType);
function messageOf(headers: Headers, body: Uint8Array): Message {
  const kept = Object.fromEntries(headers);
  if (body.length === 0) return { headers: kept };
  const bytes = Buffer.from(body);
  return asText(headers.get("content-type") ?? "")
    ? { headers: kept, text: bytes.toString("utf8") }
    : { headers: kept, base64: bytes.toString("base64") };
}
export const bytesOf = ({ text, base64 }: Message): Uint8Array<ArrayBuffer> =>
  base64 === undefined
    ? new TextEncoder().encode(text ?? "")
    : Uint8Array.from(Buffer.from(base64, "base64"));

/** Passes on and writes down. */
export function recorded(send: Fetch): { send: Fetch; readonly exchanges: RecordedExchange[] } {
  const exchanges: RecordedExchange[] = [];
  return {
    exchanges,
    async send(url, init) {
      const request = new Request(url, { ...init, signal: null });
      const sent = new Uint8Array(await request.arrayBuffer());
      const response = await send(url, init);
      const answer = new Uint8Array(await response.clone().arrayBuffer());
      exchanges.push({
        ...{ method: request.method, url, status: response.status },
        asked: messageOf(new Headers(init.headers), sent),
        told: messageOf(response.headers, answer),
      });
      return response;
    },
  };
}

/** The answers of a golden, one after another, whatever is asked. */
export function answering(exchanges: readonly RecordedExchange[]): Fetch {
  const left = [...exchanges];
  return async () => {
    const next = left.shift();
    if (next === undefined) throw new Error("more was asked than the golden answers");
    const { status, told } = next;
    return new Response(bytesOf(told), { status, headers: told.headers });
  };
}

/** What the edge made of the answers: a failure by the problem that the public would see. */
export async function understood(scenario: Scenario, send: Fetch): Promise<unknown> {
  try {
    return { answer: await scenario.ask(edgeSide(send)) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { problem: toProblem(error) };
  }
}

/** Both sides of today, through `scenario`. */
export async function speak(scenario: Scenario) {
  const line = recorded(nodeSide(scenario));
  const made = await understood(scenario, line.send);
  return { exchanges: line.exchanges, understood: plain(made) };
}

/** The heartbeats of today's node, heard by today's edge. */
export async function beat() {
  const edge = hearingEdge();
  const nodes: unknown[] = [];
  const line = recorded(edge.hear);
  const pausesMs = await announcingNode(async (url, init) => {
    const response = await line.send(url, init);
    nodes.push(timeless(await edge.list()));
    return response;
  });
  return { exchanges: line.exchanges, nodes: plain(nodes) as unknown[], pausesMs: [...pausesMs] };
}

/** Without times of the clock. */
export const timeless = (nodes: readonly object[]): unknown =>
  plain(nodes.map((node) => ({ ...node, heardAt: undefined, startedAt: undefined })));
/** As JSON keeps it. */
export const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

export async function makeGolden(version: string): Promise<Golden> {
  const made: Golden["scenarios"] = {};
  for (const [name, scenario] of Object.entries(scenarios)) made[name] = await speak(scenario);
  return {
    version,
    scenarios: made,
    heartbeats: await beat(),
    readers: readersToday(),
  };
}

export const readersToday = (): Golden["readers"] =>
  Object.fromEntries(
    Object.entries(readers).map(([name, schema]) => [
      name,
      plain(z.toJSONSchema(schema, { io: "input" })) as Record<string, unknown>,
    ]),
  );

const ajv = new Ajv2020({ strict: false, validateFormats: false });

/** Why the edge or the node of the golden's release would not read this exchange; empty when both would. */
export async function misread(golden: Golden, exchange: RecordedExchange): Promise<string[]> {
  const faultOf = (reader: string, json: string): string[] => {
    const schema = golden.readers[reader];
    if (schema === undefined) return [`${golden.version} has no reader of ${reader}`];
    return ajv.validate(schema, JSON.parse(json)) ? [] : [`${reader}: ${ajv.errorsText()}`];
  };
  const { asked, told, status, url, method } = exchange;
  const { pathname } = new URL(url);
  const faults: string[] = [];
  if (method === "POST") faults.push(...faultOf(`asked ${pathname}`, jsonOf(asked)));
  if (status !== 200) return [...faults, ...faultOf("problem", told.text ?? "")];
  if (!(told.headers["content-type"] ?? "").startsWith(eventStreamType)) {
    return [...faults, ...faultOf(`told ${pathname}`, told.text ?? "")];
  }
  for (const { name, data } of await eventsOf(told)) {
    if (name === "text" || name === "problem") faults.push(...faultOf(name, data));
    if (name === "result") faults.push(...faultOf(`told ${pathname}`, data));
  }
  return faults;
}

function jsonOf(message: Message): string {
  const type = message.headers["content-type"] ?? "";
  return asText(type) ? (message.text ?? "") : readFrame(bytesOf(message), type).json;
}

export async function eventsOf(told: Message): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of readServerSentEvents(new Blob([bytesOf(told)]).stream())) {
    events.push(event);
  }
  return events;
}

/** What of the headers the other side checks: whatever is drawn or of the clock is left out. */
export const provenBy = ({ headers }: Message): Readonly<Record<string, string | undefined>> => ({
  "signature-input": headers["signature-input"]
    ?.replace(/created=(\d+);expires=(\d+)/, (_, from: string, to: string) => {
      return `for ${Number(to) - Number(from)} s`;
    })
    .replace(/nonce="[0-9a-f]{32}"/, "nonce"),
  signature: headers["signature"]?.replace(/[\w+/]{43}=/, "44 characters"),
  "content-digest": headers["content-digest"]?.replace(/[\w+/]{43}=/, "44 characters"),
  "content-type": headers["content-type"]?.replace(/boundary=".*"/, "boundary"),
  "blip2-protocol": headers["blip2-protocol"],
  accept: headers["accept"],
  traceparent: headers["traceparent"],
});
