// image://NAMESPACE/ID is the record of an indexed picture, image://NAMESPACE what was indexed last and its
// captions, to read without a tool. Both hold words, no pixels, which people and models wrote: data.
import type { Client } from "@blip2-edge/shared/client";
import { oneImageSchema, oneNamespaceSchema } from "@blip2-edge/shared/contracts/images";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import {
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  ResourceTemplate,
  type McpServer,
  type ReadResourceResult,
} from "@modelcontextprotocol/server";
import { namespaceNames, recordIds } from "./completions.ts";
import { cut, describeFailure, plain, shareOf } from "./format.ts";
import { untrustedNote } from "./tools/tool.ts";

const mimeType = "application/json";
const newestRecords = 20;

export function registerResources(server: McpServer, client: Client): void {
  const namespace = (begun: string) => namespaceNames(client, begun);
  const id = (begun: string, context?: { arguments?: Record<string, string> }) =>
    recordIds(client, context?.arguments?.["namespace"], begun);

  server.registerResource(
    "image",
    new ResourceTemplate("image://{namespace}/{id}", {
      list: undefined,
      complete: { namespace, id },
    }),
    {
      title: "Indexed picture",
      description: "What is kept of a picture: title, text, tags, metadata, caption.",
      mimeType,
    },
    (uri, given, { mcpReq: { signal } }) =>
      contentsOf(uri, async () => {
        const named = { namespace: decoded(given["namespace"]), id: decoded(given["id"]) };
        return client.imageRead(parseOrRefuse(oneImageSchema, named), { signal });
      }),
  );

  server.registerResource(
    "newest-captions",
    new ResourceTemplate("image://{namespace}", {
      list: async () => ({ resources: (await namespaceNames(client, "")).map(newestIn) }),
      complete: { namespace },
    }),
    {
      title: "Newest captions",
      description: `The ${newestRecords} pictures that were indexed last in a namespace, and their captions.`,
      mimeType,
    },
    (uri, given, { mcpReq: { signal } }) =>
      contentsOf(uri, async () => {
        const named = { namespace: decoded(given["namespace"]) };
        const asked = parseOrRefuse(oneNamespaceSchema, named);
        const { images } = await client.imageList(
          { ...asked, order: "newest", limit: newestRecords },
          { signal },
        );
        // Title and caption share what a picture may have.
        const most = Math.floor(shareOf(newestRecords) / 2);
        const short = (text: string | null) => (text === null ? null : cut(text, most));
        const pictures = images.map(({ id, title, caption, created_at }) => ({
          ...{ id, title: short(title), caption: short(caption), created_at },
        }));
        return { ...asked, pictures };
      }),
  );
}

const newestIn = (namespace: string) => ({
  uri: `image://${namespace}`,
  name: namespace,
  title: `Newest pictures in ${namespace}`,
  mimeType,
});

async function contentsOf(uri: URL, read: () => Promise<object>): Promise<ReadResourceResult> {
  try {
    const text = JSON.stringify({ note: untrustedNote, ...(await read()) }, (_, value: unknown) =>
      typeof value === "string" ? plain(value) : value,
    );
    return { contents: [{ uri: uri.href, mimeType, text }] };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === "not_found") throw new ResourceNotFoundError(uri.href);
    const { InvalidParams, InternalError } = ProtocolErrorCode;
    const code = error.code === "invalid_request" ? InvalidParams : InternalError;
    throw new ProtocolError(code, describeFailure(error));
  }
}

/** What is no text, or wrongly encoded, is no name. */
function decoded(value: string | string[] | undefined): string {
  try {
    return typeof value === "string" ? decodeURIComponent(value) : "";
  } catch {
    return "";
  }
}
