// image://NAMESPACE/ID: the record of an indexed picture as JSON, to read without a tool. It holds words, no
// pixels; what stands in it was written by people and models and is data.
import type { Client } from "@blip2-edge/shared/client";
import { oneImageSchema } from "@blip2-edge/shared/contracts/images";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import {
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  ResourceTemplate,
  type McpServer,
} from "@modelcontextprotocol/server";
import { describeFailure } from "./format.ts";
import { untrustedNote } from "./tools/tool.ts";

const mimeType = "application/json";
const maxCompletions = 100;

export function registerResources(server: McpServer, client: Client): void {
  const template = new ResourceTemplate("image://{namespace}/{id}", {
    list: undefined,
    complete: { id: (begun, context) => ids(client, context?.arguments?.["namespace"], begun) },
  });
  const words = {
    title: "Indexed picture",
    description: "What is kept of a picture: title, text, tags, metadata, caption.",
    mimeType,
  };
  server.registerResource("image", template, words, async (uri, { namespace, id }, context) => {
    try {
      const named = { namespace: decoded(namespace), id: decoded(id) };
      const { signal } = context.mcpReq;
      const record = await client.imageRead(parseOrRefuse(oneImageSchema, named), { signal });
      const text = JSON.stringify({ note: untrustedNote, ...record });
      return { contents: [{ uri: uri.href, mimeType, text }] };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === "not_found") throw new ResourceNotFoundError(uri.href);
      const { InvalidParams, InternalError } = ProtocolErrorCode;
      const code = error.code === "invalid_request" ? InvalidParams : InternalError;
      throw new ProtocolError(code, describeFailure(error));
    }
  });
}

const decoded = (value: string | string[] | undefined): string =>
  typeof value === "string" ? decodeURIComponent(value) : "";

/** Without a namespace, or without an answer, there is nothing to complete. */
async function ids(
  client: Client,
  namespace: string | undefined,
  begun: string,
): Promise<string[]> {
  if (namespace === undefined) return [];
  try {
    const { images } = await client.imageList({ namespace, limit: maxCompletions });
    return images.map(({ id }) => id).filter((id) => id.startsWith(begun));
  } catch {
    return [];
  }
}
