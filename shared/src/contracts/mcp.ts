// Where the Worker speaks MCP. What is said there is the protocol's business (mcp-server); this is its envelope.
import { z } from "zod";

export const mcpPath = "/mcp";
export const mcpMessageSchema = z.looseObject({ jsonrpc: z.literal("2.0") });
