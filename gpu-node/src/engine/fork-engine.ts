// Starts an engine process and hides how: a fork of this same Node from TypeScript source, structured
// clone on the channel. The engine's output goes to the door's standard error, never to its results.
import { type ChildProcess, fork } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { FromEngine, ToEngine } from "./messages.ts";

export interface EngineChild {
  readonly pid: number | undefined;
  /** Quietly does nothing once the process is gone; its exit is reported all the same. */
  send(message: ToEngine): void;
  onMessage(listener: (message: FromEngine) => void): void;
  /** Called once, with what is known of the end. */
  onExit(listener: (reason: string) => void): void;
  /** SIGKILL. */
  kill(): void;
}

const enginePath = fileURLToPath(new URL("./engine-process.ts", import.meta.url));

export function forkEngine(): EngineChild {
  let child: ChildProcess;
  try {
    child = fork(enginePath, [], {
      serialization: "advanced",
      execArgv: [],
      stdio: ["ignore", 2, 2, "ipc"],
    });
  } catch (error) {
    return stillborn(error instanceof Error ? error.message : String(error));
  }
  // A door that ends out of order takes its engine along, which would see the channel close after its run only.
  const takeAlong = (): void => void child.kill("SIGKILL");
  process.once("exit", takeAlong);
  child.once("exit", () => process.off("exit", takeAlong));
  return {
    pid: child.pid,
    send(message) {
      // The callback takes the error of a channel that closed in between; `exit` follows.
      if (child.connected) child.send(message, () => {});
    },
    onMessage: (listener) => void child.on("message", (message) => listener(message as FromEngine)),
    onExit(listener) {
      let told = false;
      const tell = (reason: string): void => {
        if (!told) listener(reason);
        told = true;
      };
      child.once("exit", (code, signal) => tell(signal ?? `exit code ${code}`));
      child.on("error", (error) => tell(error.message));
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

/** What the machine had no memory or no process left for: an end like any other, soon after its birth. */
const stillborn = (reason: string): EngineChild => ({
  pid: undefined,
  send: () => {},
  onMessage: () => {},
  onExit: (listener) => void setImmediate(listener, reason),
  kill: () => {},
});
