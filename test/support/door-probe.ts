// Loaded into the door before its own code: at SIGUSR2 it collects garbage and says what is left.
import process from "node:process";

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

process.on("SIGUSR2", () => void report());

async function report(): Promise<void> {
  // What was collected may have held what a second pass can collect.
  for (let pass = 0; pass < 3; pass++) {
    globalThis.gc?.();
    await settle();
  }
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  const handles = process.getActiveResourcesInfo();
  process.stderr.write(
    `${JSON.stringify({ event: "probe", heapUsed, external, arrayBuffers, rss, handles })}\n`,
  );
}
