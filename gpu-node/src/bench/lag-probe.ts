// Loaded into the node's door before anything else (`node --import`): says over the IPC channel how late the event
// loop was. The door knows nothing of it. Ends the node when the bench is gone.
import { monitorEventLoopDelay } from "node:perf_hooks";
import process from "node:process";
import type { FromProbe, ToProbe } from "./lag-messages.ts";

/** How often it looks; a delay counts from there. */
const resolutionMs = 5;
const nanosecondsPerMs = 1e6;

const delay = monitorEventLoopDelay({ resolution: resolutionMs });
delay.enable();
const late = (nanoseconds: number): number =>
  Math.max(0, nanoseconds / nanosecondsPerMs - resolutionMs);

process.on("message", (message: ToProbe) => {
  if (message.type === "reset") delay.reset();
  else {
    const lag: FromProbe = {
      type: "lag",
      p50Ms: late(delay.percentile(50)),
      p99Ms: late(delay.percentile(99)),
      maxMs: late(delay.max),
    };
    process.send?.(lag);
  }
});
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
// A listener keeps the channel and with it the process; the node must be able to end by itself.
process.channel?.unref();
