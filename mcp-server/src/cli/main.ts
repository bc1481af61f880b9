#!/usr/bin/env node
// Entry of `blip2-edge`, which talks to a Worker: finds the command, gives it the process's streams and
// Ctrl-C, and turns what it throws into one message and an exit status (2 for wrong usage, 1 else).
import { constants } from "node:os";
import process from "node:process";
import { text } from "node:stream/consumers";
import { AppError } from "@blip2-edge/shared/problem";
import type { CliIo } from "./io.ts";

interface Command {
  readonly summary: string;
  readonly load: () => Promise<{
    readonly run: (args: readonly string[], io: CliIo) => Promise<number>;
    readonly help: string;
  }>;
}

const commands: Readonly<Record<string, Command>> = {
  caption: {
    summary: "say what is in pictures",
    load: async () => {
      const { caption, captionHelp } = await import("./caption.ts");
      return { run: caption, help: captionHelp };
    },
  },
  vqa: {
    summary: "answer questions about a picture",
    load: async () => {
      const { vqa, vqaHelp } = await import("./vqa.ts");
      return { run: vqa, help: vqaHelp };
    },
  },
  match: {
    summary: "say how well texts fit a picture",
    load: async () => {
      const { match, matchHelp } = await import("./match.ts");
      return { run: match, help: matchHelp };
    },
  },
  classify: {
    summary: "sort labels by how well they fit a picture",
    load: async () => {
      const { classify, classifyHelp } = await import("./match.ts");
      return { run: classify, help: classifyHelp };
    },
  },
  embed: {
    summary: "give the vectors of a picture or a text",
    load: async () => {
      const { embed, embedHelp } = await import("./embed.ts");
      return { run: embed, help: embedHelp };
    },
  },
  search: {
    summary: "find indexed pictures by words, by a picture or by both",
    load: async () => {
      const { search, searchHelp } = await import("./search.ts");
      return { run: search, help: searchHelp };
    },
  },
  images: {
    summary: "list, show and delete indexed pictures",
    load: async () => {
      const { images, imagesHelp } = await import("./images.ts");
      return { run: images, help: imagesHelp };
    },
  },
  namespaces: {
    summary: "say what namespaces hold, and move their candidates",
    load: async () => {
      const { namespaces, namespacesHelp } = await import("./namespaces.ts");
      return { run: namespaces, help: namespacesHelp };
    },
  },
  import: {
    summary: "index the pictures of a folder; may be ended and begun again",
    load: async () => {
      const { importFolder, importHelp } = await import("./import.ts");
      return { run: importFolder, help: importHelp };
    },
  },
  models: {
    summary: "list the models",
    load: async () => {
      const { models, modelsHelp } = await import("./models.ts");
      return { run: models, help: modelsHelp };
    },
  },
  keys: {
    summary: "make, list, rotate and revoke API keys",
    load: async () => {
      const { keys, keysHelp } = await import("./keys.ts");
      return { run: keys, help: keysHelp };
    },
  },
  grants: {
    summary: "list and end what clients may do at /mcp by OAuth",
    load: async () => {
      const { grants, grantsHelp } = await import("./grants.ts");
      return { run: grants, help: grantsHelp };
    },
  },
  nodes: {
    summary: "list the machines behind the Worker, let one join, renew its key, send it away",
    load: async () => {
      const { nodes, nodesHelp } = await import("./nodes.ts");
      return { run: nodes, help: nodesHelp };
    },
  },
  jobs: {
    summary: "start, follow, read and end batches of many pictures",
    load: async () => {
      const { jobs, jobsHelp } = await import("./jobs.ts");
      return { run: jobs, help: jobsHelp };
    },
  },
  connections: {
    summary: "connect a CMS, read its inbox",
    load: async () => {
      const { connections, connectionsHelp } = await import("./connections.ts");
      return { run: connections, help: connectionsHelp };
    },
  },
  backfill: {
    summary: "describe the pictures that a CMS has already; may be halted and resumed",
    load: async () => {
      const { backfill, backfillHelp } = await import("./backfill.ts");
      return { run: backfill, help: backfillHelp };
    },
  },
  suggestions: {
    summary: "review the words that wait for it",
    load: async () => {
      const { suggestions, suggestionsHelp } = await import("./suggestions.ts");
      return { run: suggestions, help: suggestionsHelp };
    },
  },
  usage: {
    summary: "what keys have spent, by key and day; CSV and JSON",
    load: async () => {
      const { usage, usageHelp } = await import("./usage.ts");
      return { run: usage, help: usageHelp };
    },
  },
  mcp: {
    summary: "serve the tools for agents on standard input and output",
    load: async () => {
      const { mcp, mcpHelp } = await import("./mcp.ts");
      return { run: mcp, help: mcpHelp };
    },
  },
  doctor: {
    summary: "say what is wrong with a connection",
    load: async () => {
      const { doctor, doctorHelp } = await import("./doctor.ts");
      return { run: doctor, help: doctorHelp };
    },
  },
};

const overview = `blip2-edge COMMAND ...

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(11)} ${summary}`)
  .join("\n")}

blip2-edge COMMAND --help says what a command takes.`;

/** Exit status by convention for a command that Ctrl-C ended. */
const interruptedStatus = 130;

async function main(args: readonly string[], io: CliIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "help") {
    io.stdout(overview);
    return name === undefined ? 2 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    io.stderr(`blip2-edge: there is no command "${name}".\n\n${overview}`);
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
    io.stderr(`blip2-edge ${name}: ${error.detail || error.kind.title}`);
    return error.code === "usage" ? 2 : 1;
  }
}

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
  write: (text) => void process.stdout.write(text),
  stderr: (line) => void process.stderr.write(`${line}\n`),
  signal: interrupt.signal,
  stdin: () => text(process.stdin),
  env: process.env,
});
