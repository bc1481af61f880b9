#!/usr/bin/env node
// Entry of `blip2`: finds the command, gives it the process's streams and Ctrl-C, and turns what it
// throws into one message and an exit status (2 for wrong usage, 1 for everything else). Commands are
// loaded when they are called, so that help does not wait for a runtime.
import { Console } from "node:console";
import { constants } from "node:os";
import process from "node:process";
import { AppError } from "@blip2-edge/shared/problem";
import type { ServeIo } from "./run-node.ts";

interface Command {
  readonly summary: string;
  readonly load: () => Promise<{
    readonly run: (args: readonly string[], io: ServeIo) => Promise<number>;
    readonly help: string;
  }>;
}

const commands: Readonly<Record<string, Command>> = {
  build: {
    summary: "make an artifact from a checkpoint",
    load: async () => {
      const { build, buildUsage } = await import("./build.ts");
      return { run: build, help: buildUsage };
    },
  },
  pull: {
    summary: "download a checkpoint from a hub",
    load: async () => {
      const { pull, pullHelp, pullUsage } = await import("./pull.ts");
      return { run: pull, help: `${pullUsage}\n\n${pullHelp}` };
    },
  },
  inspect: {
    summary: "say what an artifact is",
    load: async () => {
      const { inspect, inspectUsage } = await import("./inspect.ts");
      return { run: inspect, help: inspectUsage };
    },
  },
  verify: {
    summary: "compare an artifact with its checkpoint",
    load: async () => {
      const { verify, verifyHelp, verifyUsage } = await import("./verify.ts");
      return { run: verify, help: `${verifyUsage}\n\n${verifyHelp}` };
    },
  },
  caption: {
    summary: "say what is in pictures",
    load: async () => {
      const { caption, captionUsage } = await import("./caption.ts");
      return { run: caption, help: captionUsage };
    },
  },
  ask: {
    summary: "answer questions about a picture",
    load: async () => {
      const { ask, askUsage } = await import("./ask.ts");
      return { run: ask, help: askUsage };
    },
  },
  match: {
    summary: "say how well texts fit a picture",
    load: async () => {
      const { match, matchHelp, matchUsage } = await import("./match.ts");
      return { run: match, help: `${matchUsage}\n\n${matchHelp}` };
    },
  },
  embed: {
    summary: "give the vectors of a picture or a text",
    load: async () => {
      const { embed, embedHelp, embedUsage } = await import("./embed.ts");
      return { run: embed, help: `${embedUsage}\n\n${embedHelp}` };
    },
  },
  trace: {
    summary: "write the tensors of one pass",
    load: async () => {
      const { trace, traceUsage } = await import("./trace.ts");
      return { run: trace, help: traceUsage };
    },
  },
  eval: {
    summary: "measure a model on captions, questions or retrieval",
    load: async () => {
      const { evaluate, evalHelp, evalUsage } = await import("./eval.ts");
      return { run: evaluate, help: `${evalUsage}\n\n${evalHelp}` };
    },
  },
  bench: {
    summary: "measure a model and a node beside the machine's limits",
    load: async () => {
      const { bench, benchHelp, benchUsage } = await import("./bench.ts");
      return { run: bench, help: `${benchUsage}\n\n${benchHelp}` };
    },
  },
  serve: {
    summary: "run the node",
    load: async () => {
      const { serve, settingHelp, serveUsage } = await import("./serve.ts");
      return { run: serve, help: `${serveUsage}\n\n${settingHelp()}` };
    },
  },
  join: {
    summary: "run a node that gets its key from the Worker",
    load: async () => {
      const { join, joinHelp, joinUsage } = await import("./join.ts");
      return { run: join, help: `${joinUsage}\n\n${joinHelp()}` };
    },
  },
  metrics: {
    summary: "read a node's metrics, or serve them to Prometheus",
    load: async () => {
      const { metrics, metricsHelp, metricsUsage } = await import("./metrics.ts");
      return { run: metrics, help: `${metricsUsage}\n\n${metricsHelp}` };
    },
  },
};

const overview = `blip2 COMMAND ...

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`)
  .join("\n")}

blip2 COMMAND --help says what a command takes.`;

/** Exit status by convention for a command that Ctrl-C ended. */
const interruptedStatus = 130;

async function main(args: readonly string[], io: ServeIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "help") {
    io.stdout(overview);
    return name === undefined ? 2 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    io.stderr(`blip2: there is no command "${name}".\n\n${overview}`);
    return 2;
  }
  const { run, help } = await command.load();
  if (rest.includes("--help")) {
    io.stdout(help);
    return 0;
  }
  try {
    return await run(rest, io);
  } catch (error) {
    if (io.signal.aborted) return interruptedStatus;
    if (!(error instanceof AppError)) throw error;
    io.stderr(`blip2 ${name}: ${error.detail || error.kind.title}`);
    if (error.detail === "" && error.internal !== undefined) io.stderr(error.internal);
    return error.code === "usage" ? 2 : 1;
  }
}

// Standard output carries results only: what a library prints goes to standard error.
globalThis.console = new Console(process.stderr);
const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // Who asks twice does not want to wait.
    if (interrupt.signal.aborted) process.exit(128 + constants.signals[signal]);
    interrupt.abort(new AppError("canceled", "Interrupted."));
  });
}
// A reader that goes away (`| head`) is no reason for a stack trace.
process.stdout.on("error", () => process.exit(1));

process.exitCode = await main(process.argv.slice(2), {
  stdout: (line) => void process.stdout.write(`${line}\n`),
  stderr: (line) => void process.stderr.write(`${line}\n`),
  signal: interrupt.signal,
  env: process.env,
  ...(process.stderr.isTTY
    ? {
        terminal: {
          columns: () => process.stderr.columns,
          write: (text) => void process.stderr.write(text),
        },
      }
    : {}),
  nodeKeys: process.env["BLIP2_NODE_KEYS"],
  pid: process.pid,
  rssBytes: () => process.memoryUsage.rss(),
  onHangup: (listener) => void process.on("SIGHUP", listener),
});
