// What an adapter is given, with answers that are arranged: for what a stand-in of a CMS does not do by itself.
import type { Ask, Cms, Targets, Told } from "../../edge/src/webhooks/adapter.ts";

export interface ScriptedCms extends Cms {
  readonly asked: readonly Ask[];
}

/** One answer each, in order; a number is a status without a body. */
export function scriptedCms(
  targets: Targets,
  ...answers: readonly (number | (Partial<Omit<Told, "headers">> & { headers?: object }))[]
): ScriptedCms {
  const asked: Ask[] = [];
  const left = [...answers];
  return {
    ...{ asked, targets, baseUrl: "https://cms.example/base", token: "key-123:secret-of-the-key" },
    signal: AbortSignal.timeout(10_000),
    async ask(what) {
      asked.push(what);
      const next = left.shift();
      if (next === undefined) throw new Error(`nobody arranged an answer to ${what.path}`);
      const answer = typeof next === "number" ? { status: next } : next;
      return {
        ...{ status: answer.status ?? 200, body: answer.body },
        headers: new Headers(Object.entries(answer.headers ?? {})),
      };
    },
  };
}
