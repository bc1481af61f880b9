// Vercel's AI SDK: the tools as a model of it would get and execute them.
import { createMCPClient } from "@ai-sdk/mcp";
import { StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";

export const name = "@ai-sdk/mcp";

export async function connect({ transport, url, headers, stdio }) {
  const client = await createMCPClient({
    transport:
      transport === "stdio" ? new StdioMCPTransport(stdio) : { type: "http", url, headers },
  });
  const tools = await client.tools();
  return {
    list: async () => Object.keys(tools),
    call: (tool, args) => tools[tool].execute(args, { toolCallId: "lab", messages: [] }),
    close: () => client.close(),
  };
}
