// The official SDK of the revisions with sessions, which most hosts are built on.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

export const name = "@modelcontextprotocol/sdk";

export async function connect({ transport, url, headers, stdio }) {
  const client = new Client({ name: "lab", version: "1" });
  await client.connect(
    transport === "stdio"
      ? new StdioClientTransport(stdio)
      : new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }),
  );
  return {
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (tool, args) => client.callTool({ name: tool, arguments: args }),
    close: () => client.close(),
  };
}
