// How the scripted node streams: the first word of every text, a pause if it is told to make one, the rest,
// and the result; or no more than the first words.
import type http from "node:http";
import type { AppError } from "@blip2-edge/shared/problem";
import { eventStreamType } from "@blip2-edge/shared/sse";
import { writeEvent } from "@blip2-edge/shared/wire/events";
import {
  protocolHeader,
  protocolVersion,
  type InferResponse,
} from "@blip2-edge/shared/wire/protocol";

export interface StreamFault {
  readonly wait?: Promise<unknown>;
  readonly end?: "drop" | AppError;
}

export async function streamAnswer(
  response: http.ServerResponse,
  answer: InferResponse,
  { wait, end }: StreamFault,
): Promise<void> {
  const pieces = answer.results.map(({ text }) => text.split(/(?<= )/));
  const say = (from: number, to?: number): void =>
    pieces.forEach((words, index) => {
      const text = words.slice(from, to).join("");
      if (text !== "") response.write(writeEvent({ event: "text", data: { index, text } }));
    });
  response.writeHead(200, {
    "content-type": eventStreamType,
    [protocolHeader]: protocolVersion,
  });
  say(0, 1);
  await wait;
  if (end === "drop") return void response.socket?.destroy();
  if (end !== undefined) return void response.end(writeEvent({ event: "problem", error: end }));
  say(1);
  response.end(writeEvent({ event: "result", data: answer }));
}
