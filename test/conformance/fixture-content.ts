// The conformance suite's tools that give each kind of content, tell how far they are, log, or fail.
import type { CallToolResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import { z } from "zod";

type Content = CallToolResult["content"];

/** A PNG of one red pixel. */
export const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/** A WAV file of no samples. */
const silence = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
const pauseMs = 50;
const pause = () => new Promise((resolve) => setTimeout(resolve, pauseMs));

const text = (words: string): Content[number] => ({ type: "text", text: words });
const image: Content[number] = { type: "image", data: pixel, mimeType: "image/png" };
const resource = (name: string, mimeType: string, words: string): Content[number] => ({
  type: "resource",
  resource: { uri: `test://${name}`, mimeType, text: words },
});

const contents: Readonly<Record<string, Content>> = {
  test_simple_text: [text("This is a simple text response for testing.")],
  test_image_content: [image],
  test_audio_content: [{ type: "audio", data: silence, mimeType: "audio/wav" }],
  test_embedded_resource: [resource("embedded-resource", "text/plain", "An embedded resource.")],
  test_multiple_content_types: [
    text("Multiple content types test:"),
    image,
    resource("mixed-content-resource", "application/json", '{"test":"data","value":123}'),
  ],
  test_streaming_elicitation: [text("Nothing but this is in the stream.")],
};

export function registerContentTools(server: McpServer): void {
  const nothing = z.object({});
  const add = (name: string, run: (context: ServerContext) => Promise<Content> | Content): void => {
    const about = { description: `The suite's ${name}.`, inputSchema: nothing };
    server.registerTool(name, about, async (_, context) => ({ content: await run(context) }));
  };
  for (const [name, content] of Object.entries(contents)) add(name, () => content);
  add("test_error_handling", () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  add("test_tool_with_progress", async ({ mcpReq: { _meta, notify } }) => {
    const progressToken = _meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken === undefined) break;
      const params = { progressToken, progress, total: 100 };
      await notify({ method: "notifications/progress", params });
      await pause();
    }
    return [text("done")];
  });
  add("test_tool_with_logging", async ({ mcpReq: { notify } }) => {
    for (const data of ["started", "processing data", "completed"]) {
      await notify({ method: "notifications/message", params: { level: "info", data } });
      await pause();
    }
    return [text("logged")];
  });
  // Tells only those that asked for a level of logs.
  add("test_logging_tool", async ({ mcpReq }) => {
    await mcpReq.log("info", "told to those that asked");
    return [text("logged")];
  });
}
