// LangChain's adapters: the tools as one of its agents would invoke them.
import { MultiServerMCPClient } from "@langchain/mcp-adapters";

export const name = "@langchain/mcp-adapters";

export async function connect({ transport, url, headers, stdio }) {
  const client = new MultiServerMCPClient({
    mcpServers: {
      blip2: transport === "stdio" ? { transport, ...stdio } : { transport: "http", url, headers },
    },
  });
  const tools = await client.getTools();
  return {
    list: async () => tools.map((tool) => tool.name),
    call: (wanted, args) => tools.find((tool) => tool.name === wanted).invoke(args),
    close: () => client.close(),
  };
}
