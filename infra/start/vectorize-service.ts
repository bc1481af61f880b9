// A Worker that has the methods of a Vectorize binding and asks this process for each: the way by which a stand-in, which
// tests steer, is bound as VECTORIZE. What the stand-in throws is thrown at the caller with the same message.
import path from "node:path";
import type { VectorIndex } from "../../edge/src/search/vectorize.ts";

export const vectorizeWorkerName = "vectorize";

const operations = ["query", "upsert", "deleteByIds", "getByIds", "describe"] as const;

const source = `
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  async ask(operation, args) {
    const answer = await this.env.PROCESS.fetch("http://process/" + operation, {
      method: "POST",
      body: JSON.stringify(args),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }
  ${operations.map((name) => `${name}(...args) { return this.ask("${name}", args); }`).join("\n  ")}
}
`;

/** As an entry of Miniflare's list of Workers. */
export function vectorizeService(index: VectorIndex): unknown {
  async function answer(request: Request): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    const operation = operations.find((each) => each === name);
    if (operation === undefined) return new Response("no such operation", { status: 404 });
    const ask = index[operation] as (...args: unknown[]) => Promise<unknown>;
    try {
      return Response.json(await ask(...((await request.json()) as unknown[])));
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  }
  return {
    config: {
      name: vectorizeWorkerName,
      compatibilityDate: "2026-11-01",
      manifest: {
        mainModule: "index.js",
        modulesRoot: path.resolve(import.meta.dirname, "../.."),
        modules: { "index.js": { type: "esm", contents: source } },
      },
      env: { PROCESS: { type: "fetcher", handler: answer } },
    },
  };
}
