// Asks a node's health route and ends with 0 when it says yes: HEALTHCHECK of the image, and, with a time to
// wait, what keeps `systemctl start` until the node takes work. Plain JavaScript without dependencies.
// Usage: node probe.mjs URL [SECONDS]
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const [url = "http://127.0.0.1:8080/readyz", seconds = "0"] = process.argv.slice(2);
const answerMs = 4000;
const pauseMs = 250;
const until = performance.now() + Number(seconds) * 1000;

const asked = () =>
  fetch(url, { signal: AbortSignal.timeout(answerMs), redirect: "error" }).then(
    ({ ok, status }) => (ok ? undefined : `it answered ${status}`),
    (error) => `it did not answer (${error.cause?.code ?? error.message})`,
  );

let why = await asked();
while (why !== undefined && performance.now() < until) {
  await sleep(pauseMs);
  why = await asked();
}
if (why !== undefined) process.stderr.write(`${url}: ${why}\n`);
process.exitCode = why === undefined ? 0 : 1;
