// `blip2-edge doctor`: what is wrong with a connection, from the address to the list of tools. Each check stands on
// the one before, so the first that fails is the cause and the rest is not tried.
import type { Client } from "@blip2-edge/shared/client";
import { mcpPath } from "@blip2-edge/shared/contracts/mcp";
import { AppError, fromProblem } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { clientOf, commonHelp, parseFlags, placeOf, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";

const usage = "blip2-edge doctor [--url URL] [--key KEY] [--json]";
export const doctorHelp = `${usage}

Says whether the Worker answers, takes the key, has models, serves tools to agents at ${mcpPath}, and lets them search.

${commonHelp}`;

interface Check {
  readonly name: string;
  /** What was found. Throws AppError. */
  readonly run: () => Promise<string>;
}

/** Exit status: 0 when everything is well. Errors: `usage`. */
export async function doctor(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(args, {}, usage);
  if (positionals.length > 0) throw usageError("It takes flags alone", usage);
  const client = clientOf(values, io, usage);
  const { url, key } = placeOf(values, io, usage);
  const { signal } = io;
  const checks: readonly Check[] = [
    {
      name: "address",
      run: async () => `${url} answers: ${(await client.health({ signal })).status}`,
    },
    { name: "key and models", run: () => models(client, signal) },
    { name: "tools", run: () => tools(url, key, io) },
    { name: "search", run: () => searchable(client, signal) },
  ];
  for (const { name, run } of checks) {
    try {
      const found = await run();
      io.stdout(
        values.json ? JSON.stringify({ check: name, ok: true, found }) : `ok    ${name}: ${found}`,
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      const found = `${error.detail || error.kind.title} (${error.code})`;
      io.stdout(
        values.json ? JSON.stringify({ check: name, ok: false, found }) : `WRONG ${name}: ${found}`,
      );
      return 1;
    }
  }
  return 0;
}

async function models(client: Client, signal: AbortSignal): Promise<string> {
  const { data } = await client.models({ signal });
  if (data.length === 0) {
    throw new AppError("not_ready", "The key is good, but no node serves a model.");
  }
  const abilities = new Set(data.flatMap((model) => model.abilities));
  const missing = ["caption", "vqa", "match"].filter((ability) => !abilities.has(ability));
  const names = data.map(({ id }) => id).join(", ");
  return missing.length === 0 ? names : `${names}; no model can ${missing.join(" or ")}`;
}

/** A key for looking alone is no fault, but its owner wants to know. */
async function searchable(client: Client, signal: AbortSignal): Promise<string> {
  try {
    const { namespaces } = await client.namespaceList({ limit: 10 }, { signal });
    const names = namespaces.map(({ namespace }) => namespace).join(", ");
    return names === ""
      ? "the key may search; nothing is indexed yet"
      : `the key may search ${names}`;
  } catch (error) {
    if (error instanceof AppError && error.code === "forbidden") {
      return "the key lacks the scope `search`, so search_images will be refused";
    }
    throw error;
  }
}

const maxAnswerBytes = 1_000_000;

/** As the oldest host would ask: without sessions the list needs no greeting before it. */
async function tools(url: string, key: string, io: CliIo): Promise<string> {
  const { fetch: doFetch = fetch, signal } = io;
  const asked = doFetch(new URL(mcpPath, url), {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }),
    signal,
  });
  const response = await asked.catch((cause: unknown) => {
    throw new AppError("api_unreachable", `${mcpPath} does not answer.`, { cause });
  });
  const read = await readBounded(response.body, maxAnswerBytes, signal);
  const text = read.ok ? new TextDecoder().decode(read.bytes) : "";
  if (!response.ok) throw fromProblem(parsed(text)) ?? unexpected(response.status);
  const names = toolNames(parsed(/^data: (.*)$/m.exec(text)?.[1] ?? text));
  if (names.length === 0) throw unexpected(response.status);
  return names.join(", ");
}

const unexpected = (status: number): AppError =>
  new AppError("api_unexpected", `${mcpPath} answered ${status} and no list of tools.`);

function toolNames(message: unknown): string[] {
  const { result } = (message ?? {}) as { result?: { tools?: unknown } };
  const tools = Array.isArray(result?.tools) ? (result.tools as { name?: unknown }[]) : [];
  return tools.flatMap(({ name }) => (typeof name === "string" ? [name] : []));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
