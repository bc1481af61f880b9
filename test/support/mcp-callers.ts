// The SDK's clients of both generations, over HTTP and through the stdio server as a host starts it, as one thing
// to call tools with.
import path from "node:path";
import process from "node:process";
import { Client as V2Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as V1StdioTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as V1HttpTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

export interface McpWay {
  /** 1: `@modelcontextprotocol/sdk`, revision 2025-11-25. 2: `@modelcontextprotocol/client`, 2026-07-28. */
  readonly generation: 1 | 2;
  readonly transport: "HTTP" | "stdio";
}
export const mcpWays: readonly McpWay[] = [
  { generation: 2, transport: "HTTP" },
  { generation: 1, transport: "HTTP" },
  { generation: 2, transport: "stdio" },
  { generation: 1, transport: "stdio" },
];

export interface McpPlace {
  readonly url: string;
  readonly key: string;
  /** Folders whose pictures may be read, over stdio. */
  readonly allow?: readonly string[];
}

interface CallMore {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: {
    readonly progress: number;
    readonly total?: number | undefined;
  }) => void;
  readonly meta?: Record<string, unknown>;
}

export interface McpAnswer {
  readonly text: string;
  readonly structured: Record<string, unknown> | undefined;
  readonly isError: boolean;
}

export interface McpCaller {
  list(): Promise<string[]>;
  call(name: string, args: Record<string, unknown>, more?: CallMore): Promise<McpAnswer>;
  close(): Promise<void>;
}

const main = path.resolve(import.meta.dirname, "../../mcp-server/src/cli/main.ts");
/** How a host starts the stdio server. */
const commandOf = ({ url, key, allow = [] }: McpPlace) => ({
  command: process.execPath,
  args: [main, "mcp", ...allow.flatMap((folder) => ["--allow", folder])],
  env: { BLIP2_URL: url, BLIP2_API_KEY: key },
});
const bearer = ({ key }: McpPlace) => ({
  requestInit: { headers: { authorization: `Bearer ${key}` } },
});
const mcpUrl = ({ url }: McpPlace): URL => new URL("/mcp", url);
const info = { name: "test", version: "1" };

const answerOf = (result: Record<string, unknown>): McpAnswer => ({
  text: ((result["content"] ?? []) as { text?: string }[]).map(({ text }) => text).join("\n"),
  structured: result["structuredContent"] as Record<string, unknown> | undefined,
  isError: result["isError"] === true,
});
const namesOf = ({ tools }: { readonly tools: readonly { readonly name: string }[] }) =>
  tools.map(({ name }) => name);
const requestOf = (name: string, args: Record<string, unknown>, { meta }: CallMore) => ({
  ...{ name, arguments: args },
  ...(meta === undefined ? {} : { _meta: meta }),
});
const optionsOf = ({ signal, onprogress }: CallMore) => ({
  ...(signal === undefined ? {} : { signal }),
  ...(onprogress === undefined ? {} : { onprogress }),
});

export async function connectMcp(
  { generation, transport }: McpWay,
  place: McpPlace,
): Promise<McpCaller> {
  if (generation === 1) {
    const client = new V1Client(info);
    await client.connect(
      transport === "HTTP"
        ? new V1HttpTransport(mcpUrl(place), bearer(place))
        : new V1StdioTransport(commandOf(place)),
    );
    return {
      list: async () => namesOf(await client.listTools()),
      call: async (name, args, more = {}) =>
        answerOf(await client.callTool(requestOf(name, args, more), undefined, optionsOf(more))),
      close: () => client.close(),
    };
  }
  const client = new V2Client(info, { versionNegotiation: { mode: "auto" } });
  await client.connect(
    transport === "HTTP"
      ? new StreamableHTTPClientTransport(mcpUrl(place), bearer(place))
      : new StdioClientTransport(commandOf(place)),
  );
  return {
    list: async () => namesOf(await client.listTools()),
    call: async (name, args, more = {}) =>
      answerOf(await client.callTool(requestOf(name, args, more), optionsOf(more))),
    close: () => client.close(),
  };
}
