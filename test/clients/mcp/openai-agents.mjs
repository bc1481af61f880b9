// OpenAI's Agents SDK, without an agent: the servers that it hands to one.
import { MCPServerStdio, MCPServerStreamableHttp } from "@openai/agents";

export const name = "@openai/agents";

export async function connect({ transport, url, headers, stdio }) {
  const server =
    transport === "stdio"
      ? new MCPServerStdio(stdio)
      : new MCPServerStreamableHttp({ url, requestInit: { headers } });
  await server.connect();
  return {
    list: async () => (await server.listTools()).map((tool) => tool.name),
    call: (tool, args) => server.callTool(tool, args),
    close: () => server.close(),
  };
}
