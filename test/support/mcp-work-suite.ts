// What a tool does while it works, the same for every client and transport: it tells how far it is, ends when nobody
// wants it any more, as far as the node, and stands in its caller's trace. Over stdio a cancelled call closes the
// request to the Worker (mcp-server/src/cli/mcp.test.ts), which workerd on this machine does not tell it (0044).
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Edge } from "./edge.ts";
import { connectMcp, mcpWays, type McpCaller } from "./mcp-callers.ts";

export interface McpWork {
  readonly edge: Edge;
  /** May do everything. */
  readonly key: string;
  /** Of a picture; with another query it is the same picture. */
  readonly picture: string;
}

export function testMcpWork(given: () => McpWork): void {
  describe.each(mcpWays)("generation $generation over $transport", (way) => {
    const { generation, transport } = way;
    const name = `${generation}-${transport.toLowerCase()}`;
    /**
     * A client takes the result at once and a notification a moment later: what comes in one piece with the result is
     * forgotten by the older client, and by both where a pipe joins the two messages.
     */
    const mayMissLast = generation === 1 || transport === "stdio";
    const expectTold = (told: readonly unknown[], all: readonly object[]): void => {
      expect(told.length).toBeGreaterThanOrEqual(all.length - (mayMissLast ? 1 : 0));
      expect(told).toMatchObject(all.slice(0, mayMissLast ? told.length : undefined));
    };
    let caller: McpCaller;
    const connected = () => connectMcp(way, { url: given().edge.url, key: given().key });
    beforeAll(async () => {
      caller = await connected();
    });
    afterAll(() => caller?.close());

    test("a batch of 16 pictures tells of each that is done, an index of its beginning and its end", async () => {
      const { picture } = given();
      const told: unknown[] = [];
      const images = Array.from({ length: 16 }, (_, at) => `${picture}?${name}=${at}`);
      const onprogress = (progress: object) => void told.push(progress);
      const { structured } = await caller.call("caption_image", { images }, { onprogress });
      expect(structured?.["captions"]).toHaveLength(16);
      expectTold(
        told,
        images.map((_, at) => ({ progress: at + 1, total: 16 })),
      );
      told.length = 0;
      const record = { image: picture, namespace: `work-${name}`, id: "own" };
      const put = await caller.call("index_image", record, { onprogress });
      expect(put.structured, put.text).toMatchObject({ id: "own" });
      expectTold(
        told,
        [0, 1].map((progress) => ({ progress, total: 1 })),
      );
    });

    test("the call's own traceparent goes as far as the node", async () => {
      const { edge, picture } = given();
      const traceId = `${generation}${transport === "HTTP" ? "a" : "b"}`.repeat(16);
      const traceparent = `00-${traceId}-${"cd".repeat(8)}-01`;
      const args = { image: picture, questions: [`who is traced ${name}?`] };
      await caller.call("ask_image", args, { meta: { traceparent } });
      expect(edge.node.traceparents.at(-1)).toContain(traceId);
    });

    if (transport === "stdio") return;
    test("what is cancelled ends on the node", async () => {
      const { edge, picture } = given();
      // Without a session a message to cancel reaches nobody: such a client has to leave.
      const mustLeave = generation === 1;
      const own = mustLeave ? await connected() : caller;
      const [asked, abandoned] = [edge.node.asked.length, edge.node.abandoned()];
      edge.node.failNext({ kind: "wait", ms: 30_000 });
      const gone = new AbortController();
      const args = { image: picture, questions: [`who cancels ${name}?`] };
      const calling = own.call("ask_image", args, { signal: gone.signal });
      const ended = expect(calling).rejects.toThrow();
      await expect.poll(() => edge.node.asked.length, { timeout: 10_000 }).toBe(asked + 1);
      if (mustLeave) await own.close();
      else gone.abort();
      await ended;
      await expect.poll(() => edge.node.abandoned(), { timeout: 10_000 }).toBe(abandoned + 1);
    });
  });
}
