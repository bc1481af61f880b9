// One call of the API with the project's client, and what is to be told of it: how long it took, what was
// cached, which request it was.
import { createClient, type Client } from "@blip2-edge/shared/client";
import { callTimes, type CallTimes } from "./timings.ts";

export interface CallFacts {
  readonly times: CallTimes;
  /** The rung of the ladder that served it: `cache`, `live` and so on; empty when it is not told. */
  readonly served: string;
  readonly requestId: string;
}

export interface Called<Answer> {
  readonly answer: Answer;
  readonly facts: CallFacts;
}

/** Throws what the client throws. */
export async function callApi<Answer>(
  key: string,
  ask: (client: Client) => Promise<Answer>,
): Promise<Called<Answer>> {
  const startedAt = performance.now();
  let headMs = 0;
  let headers = new Headers();
  const client = createClient({
    url: new URL("./", location.href),
    key,
    async fetch(input, init) {
      const response = await fetch(input, { ...init, credentials: "omit" });
      headMs = performance.now() - startedAt;
      headers = response.headers;
      return response;
    },
  });
  const answer = await ask(client);
  const endMs = performance.now() - startedAt;
  const isHit = /;\s*hit/.test(headers.get("cache-status") ?? "");
  const times = callTimes({
    ...{ serverTiming: headers.get("server-timing") ?? "", headMs, endMs, isLive: !isHit },
    isStream: headers.get("content-type")?.startsWith("text/event-stream") === true,
  });
  const served = headers.get("blip2-served") ?? (isHit ? "cache" : "live");
  return { answer, facts: { times, served, requestId: headers.get("x-request-id") ?? "" } };
}
