// /v1/nodes for operators, and the door at which a box that has a token joins: HTTP in, the book of nodes, HTTP out.
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import { nodeRoutes } from "@blip2-edge/shared/routes/nodes";
import { maxJoinBytes } from "@blip2-edge/shared/wire/join";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { fieldsWithPath, queryOf } from "./keys.ts";
import { readJson } from "./read-body.ts";
import { bodyLimits } from "./request.ts";

type NodeRouteIds = "nodeList" | "nodeTokenCreate" | "nodeRotate" | "nodeRemove" | "nodeJoin";

export function nodeRoutesOf({
  nodeMembers,
  settings,
}: Pick<Isolate, "nodeMembers" | "settings">): Record<NodeRouteIds, Handler<Env>> {
  const limits = bodyLimits(settings);
  const read = (c: Context<Env>) => readJson(c.req.raw, limits, c.get("context"));
  /** Machines are no tenant's: where they are decides where everybody's pictures go. */
  const operatorOnly = (c: Context<Env>): void => {
    const { isOperator, keyId } = c.get("caller");
    if (isOperator) return;
    throw new AppError(
      "forbidden",
      "Nodes are for operators: this needs a key of the Worker's OPERATOR_KEYS.",
      { internal: `${keyId} is no operator` },
    );
  };
  const answer = (c: Context<Env>, body: { readonly name: string }, status: 200 | 201 = 200) => {
    c.get("context").event["subject_node"] = body.name;
    return c.json(body, status, { "cache-control": "no-store" });
  };

  return {
    async nodeList(c) {
      operatorOnly(c);
      const nodes = await nodeMembers.list();
      return c.json({ nodes }, 200, { "cache-control": "no-store" });
    },
    async nodeTokenCreate(c) {
      operatorOnly(c);
      const request = parseOrRefuse(routes.nodeTokenCreate.input.schema, await read(c));
      return answer(c, await nodeMembers.offer(request), 201);
    },
    async nodeRotate(c) {
      operatorOnly(c);
      const fields = fieldsWithPath(c, await read(c));
      const { name, overlap_s: overlapS } = parseOrRefuse(routes.nodeRotate.input.schema, fields);
      return answer(c, await nodeMembers.rotate(name, overlapS));
    },
    async nodeRemove(c) {
      operatorOnly(c);
      const { name } = queryOf(c, routes.nodeRemove.input.schema);
      return answer(c, await nodeMembers.remove(name));
    },
    async nodeJoin(c) {
      const json = await readJson(
        c.req.raw,
        { ...limits, maxBytes: maxJoinBytes },
        c.get("context"),
      );
      const request = parseOrRefuse(nodeRoutes.nodeJoin.input.schema, json);
      return answer(c, await nodeMembers.join(request), 201);
    },
  };
}
