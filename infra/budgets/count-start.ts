// Evaluates a Worker's bundle and prints, as JSON, how many functions were called meanwhile and how often: a process of its
// own for worker-start.ts, since what was imported once is not evaluated again.
//   node infra/budgets/count-start.ts MODULE
import { Session } from "node:inspector/promises";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";

/** Of workerd's own modules what a Worker's classes are made of; WebAssembly is compiled before a Worker starts. */
const runtime = `
  export class DurableObject {}
  export class WorkerEntrypoint {}
  export class RpcTarget {}
  export const env = {};
  export default {};`;
const stands = "stands-for:";
registerHooks({
  resolve: (specifier, context, next) =>
    specifier.startsWith("cloudflare:") || specifier.endsWith(".wasm")
      ? { url: `${stands}${specifier}`, shortCircuit: true }
      : next(specifier, context),
  load: (url, context, next) =>
    url.startsWith(stands)
      ? { format: "module", source: runtime, shortCircuit: true }
      : next(url, context),
});

const url = pathToFileURL(process.argv[2] ?? "").href;
const session = new Session();
session.connect();
await session.post("Profiler.enable");
// Block by block it would count what compilation makes of the code; a call is a call.
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
await import(url);
const { result } = await session.post("Profiler.takePreciseCoverage");
session.disconnect();
const counts = result
  .filter((script) => script.url === url)
  .flatMap(({ functions }) => functions.map(({ ranges }) => ranges[0]?.count ?? 0))
  .filter((count) => count > 0);
const calls = counts.reduce((sum, count) => sum + count, 0);
console.log(JSON.stringify({ functions: counts.length, calls }));
