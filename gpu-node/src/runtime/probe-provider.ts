// Whether an execution provider works on this machine, asked of a process of its own: a bad driver may hang
// or take its process with it, and a node is to say so at its start and not to be started over and over.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type ProviderName, providerUnavailable } from "./providers.ts";

/** What the child answers. */
export type ProbeAnswer =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: string; readonly internal: string };

export interface ProbeOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Of the child; the environment of this process by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The child's program; another one in tests. */
  readonly program?: string;
}

const probePath = fileURLToPath(new URL("./probe-process.ts", import.meta.url));
/** A first device of a cold driver takes seconds. */
const defaultTimeoutMs = 30_000;

/**
 * Opens and runs a graph of one node. Errors: `usage` that says what is missing and what to do; the
 * signal's reason.
 */
export async function probeProvider(
  provider: ProviderName,
  options: ProbeOptions = {},
): Promise<void> {
  const { timeoutMs = defaultTimeoutMs, signal, env, program = probePath } = options;
  signal?.throwIfAborted();
  const child = fork(program, [provider], {
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    ...(env === undefined ? {} : { env: { ...env } }),
  });
  let answer: ProbeAnswer | undefined;
  let said = "";
  child.on("message", (message) => (answer = message as ProbeAnswer));
  child.stderr
    ?.setEncoding("utf8")
    .on("data", (text: string) => (said = (said + text).slice(-2000)));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const giveUp = (): void => void child.kill("SIGKILL");
  signal?.addEventListener("abort", giveUp, { once: true });
  const ended = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, by) => resolve(by ?? `exit code ${code}`));
  });
  clearTimeout(timer);
  signal?.removeEventListener("abort", giveUp);
  signal?.throwIfAborted();
  // What it answered counts, however it ended: some drivers crash when a process that used them ends.
  if (answer?.ok === true) return;
  const internal = [ended, answer?.internal, said.trim()].filter(Boolean).join("; ");
  const why = timedOut
    ? `a graph of one node did not run within ${timeoutMs / 1000} s`
    : (answer?.why ?? `its driver ended the process that tried it (${ended})`);
  throw providerUnavailable(provider, why, { internal });
}
