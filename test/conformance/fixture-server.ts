// A server with what the official conformance suite expects by name, made for every message as ours is: only what is
// registered differs from the product. The names and texts are the suite's.
import {
  completable,
  createRequestStateCodec,
  McpServer,
  ResourceTemplate,
  type McpRequestContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { pixel, registerContentTools } from "./fixture-content.ts";
import { registerAskingTools, type FixtureState } from "./fixture-asking.ts";

/** Of one process: whatever instance sealed a state, every other opens it. */
const states = createRequestStateCodec<FixtureState>({
  key: crypto.getRandomValues(new Uint8Array(32)),
});

/** As with the product nothing changes by itself; the suite also looks for logs, and of old for subscriptions. */
const unchanging = { listChanged: false } as const;
const capabilities = {
  ...{ tools: unchanging, prompts: unchanging, resources: unchanging },
  logging: {},
} as const;
const olderCapabilities = {
  ...capabilities,
  resources: { ...unchanging, subscribe: true },
} as const;

export function fixtureServer({ era }: McpRequestContext): McpServer {
  const isOlder = era === "legacy";
  const server = new McpServer(
    { name: "conformance-fixture", version: "1.0.0" },
    {
      capabilities: isOlder ? olderCapabilities : capabilities,
      requestState: { verify: states.verify },
    },
  );
  registerContentTools(server);
  registerAskingTools(server, states);
  registerResources(server);
  registerPrompts(server);
  if (isOlder) {
    server.server.setRequestHandler("resources/subscribe", () => ({}));
    server.server.setRequestHandler("resources/unsubscribe", () => ({}));
  }
  return server;
}

function registerResources(server: McpServer): void {
  const text = (uri: string, words: string) => ({
    contents: [{ uri, mimeType: "text/plain", text: words }],
  });
  const add = (name: string, words: string): void => {
    const uri = `test://${name}`;
    const about = { description: `The resource ${name}.`, mimeType: "text/plain" };
    server.registerResource(name, uri, about, () => text(uri, words));
  };
  add("static-text", "This is the content of the static text resource.");
  add("watched-resource", "Nobody changes this.");
  const binary = { description: "A picture of one pixel.", mimeType: "image/png" };
  server.registerResource("static-binary", "test://static-binary", binary, ({ href: uri }) => ({
    contents: [{ uri, mimeType: "image/png", blob: pixel }],
  }));
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  const json = { description: "Repeats its id.", mimeType: "application/json" };
  server.registerResource("template", template, json, ({ href: uri }, { id }) => ({
    contents: [{ uri, mimeType: "application/json", text: JSON.stringify({ id }) }],
  }));
}

function registerPrompts(server: McpServer): void {
  const said = <Content>(...contents: Content[]) => ({
    messages: contents.map((content) => ({ role: "user" as const, content })),
  });
  const words = (text: string) => ({ type: "text" as const, text });

  server.registerPrompt("test_simple_prompt", { description: "Without arguments." }, () =>
    said(words("This is a simple prompt for testing.")),
  );
  const towns = ["paris", "park", "party"];
  const two = z.object({
    arg1: completable(z.string(), (begun) => towns.filter((town) => town.startsWith(begun ?? ""))),
    arg2: z.string(),
  });
  server.registerPrompt(
    "test_prompt_with_arguments",
    { description: "With two arguments.", argsSchema: two },
    ({ arg1, arg2 }) => said(words(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "With a resource in it.", argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri: uri }) => {
      const resource = { uri, mimeType: "text/plain", text: "Embedded resource content." };
      return said({ type: "resource" as const, resource });
    },
  );
  server.registerPrompt("test_prompt_with_image", { description: "With a picture in it." }, () =>
    said({ type: "image" as const, data: pixel, mimeType: "image/png" }),
  );
}
