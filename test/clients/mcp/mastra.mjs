// Mastra: the tools as one of its agents would execute them; it puts the server's name before theirs.
import { MCPClient } from "@mastra/mcp";

export const name = "@mastra/mcp";
const server = "blip2";

export async function connect({ transport, url, headers, stdio }) {
  const client = new MCPClient({
    id: `lab-${transport}`,
    servers: {
      [server]: transport === "stdio" ? stdio : { url: new URL(url), requestInit: { headers } },
    },
  });
  const tools = await client.listTools();
  return {
    list: async () => Object.keys(tools).map((tool) => tool.replace(`${server}_`, "")),
    call: (tool, args) => tools[`${server}_${tool}`].execute(args, {}),
    close: () => client.disconnect(),
  };
}
