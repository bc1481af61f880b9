// A bench of one artifact in a process of its own, for infra/lab/bench.ts: what the runtime holds on to after a model was
// closed would be missing where the next one is measured. Takes the flags of `blip2 bench`; sends the report.
import process from "node:process";
import { runBench } from "../../gpu-node/src/bench/run-bench.ts";
import { parseBenchSettings } from "../../gpu-node/src/cli/bench.ts";

const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort());
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const report = await runBench(
  parseBenchSettings(process.argv.slice(2), {
    stdout: say,
    stderr: say,
    signal: interrupt.signal,
    env: process.env,
  }),
);
process.send?.(report);
process.disconnect();
