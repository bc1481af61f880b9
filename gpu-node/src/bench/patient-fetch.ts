// fetch to a node over node:http, without a time limit of its own: the runtime's fetch gives up when an answer's head
// takes five minutes, which a saturated machine may need.
import { Agent, request } from "node:http";
import { Readable } from "node:stream";

export interface PatientRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
}

const agent = new Agent({ keepAlive: true });

/** Errors: the connection's, the signal's reason as Node's AbortError. */
export function patientFetch(url: string, asked: PatientRequest): Promise<Response> {
  const { method, headers, body, signal } = asked;
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const sent = request(url, { method, headers, signal, agent }, (answer) => {
    const told = new Headers();
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined) told.set(name, [value].flat().join(", "));
    }
    const content = Readable.toWeb(answer) as ReadableStream<Uint8Array>;
    resolve(new Response(content, { status: answer.statusCode ?? 502, headers: told }));
  });
  sent.on("error", reject);
  sent.end(body);
  return promise;
}
