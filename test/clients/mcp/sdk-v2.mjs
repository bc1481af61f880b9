// The official SDK of revision 2026-07-28.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

export const name = "@modelcontextprotocol/client";

export async function connect({ transport, url, headers, stdio }) {
  const client = new Client(
    { name: "lab", version: "1" },
    { versionNegotiation: { mode: "auto" } },
  );
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
