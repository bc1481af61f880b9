// /v1/namespaces: HTTP in, the index of a namespace, HTTP out. A namespace belongs to the key's tenant and needs
// not be made; whoever names one of another tenant names an empty one of their own.
import type {
  ImageDeleted,
  ImageList,
  NamespaceDeleted,
  NamespaceList,
  NamespaceUpdated,
} from "@blip2-edge/shared/contracts/images";
import { invalidRequest, parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import pMap from "p-map";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { tenantPartition } from "../partition.ts";
import type { MovableIndex, StoredRecord } from "../search/image-index.ts";
import { forgetIfEmpty } from "../tasks/forget-namespace.ts";
import { indexImage, recordAnswer } from "../tasks/index-image.ts";
import { moveCandidates, namespaceInfo } from "../tasks/namespace.ts";
import { fieldsWithPath, queryOf } from "./keys.ts";
import { readFields, readJson } from "./read-body.ts";
import { readPicture } from "./read-picture.ts";
import { bodyLimits, callerContext } from "./request.ts";

type ImageRouteId =
  | "imagePut"
  | "imageRead"
  | "imageList"
  | "imageUpdate"
  | "imageDelete"
  | "namespaceList"
  | "namespaceRead"
  | "namespaceUpdate"
  | "namespaceDelete";

const unkept = { "cache-control": "no-store" } as const;
const defaultPage = 50;
/** Each record that goes may take its picture along, in several stores. */
const clearedAtOnce = 200;
const releasedAtOnce = 5;

const noSuch = (id: string, namespace: string): AppError =>
  new AppError("not_found", `There is no image ${id} in the namespace ${namespace}.`);

export function imageRoutes(isolate: Isolate): Record<ImageRouteId, Handler<Env>> {
  const { settings, roomsFor } = isolate;
  const roomsOf = (c: Context<Env>) => roomsFor(c.get("context"));
  const indexOf = (c: Context<Env>, namespace: string): MovableIndex =>
    roomsOf(c).indexOf(c.get("caller").tenant, namespace);

  function shownIn(c: Context<Env>, namespace: string) {
    const rooms = roomsOf(c);
    const by = { caller: c.get("caller") };
    return (record: StoredRecord) => recordAnswer(rooms, by, namespace, record);
  }

  return {
    async imagePut(c) {
      const context = callerContext(c);
      const fields = await readFields(c.req.raw, bodyLimits(settings), context);
      const { namespace, id } = parseOrRefuse(routes.imageRead.input.schema, c.req.param());
      const { picture, options: given } = readPicture(fields, settings.MAX_IMAGE_BYTES);
      const options = parseOrRefuse(routes.imagePut.input.options, given);
      const task = { namespace, id, picture, options };
      return c.json(await indexImage(roomsOf(c), task, context), 200, unkept);
    },
    async imageRead(c) {
      const { namespace, id } = queryOf(c, routes.imageRead.input.schema);
      const [record] = await indexOf(c, namespace).read([id]);
      if (record === undefined) throw noSuch(id, namespace);
      return c.json(await shownIn(c, namespace)(record), 200, unkept);
    },
    async imageList(c) {
      const asked = queryOf(c, routes.imageList.input.schema);
      const { namespace, cursor = null, limit = defaultPage, order } = asked;
      if (order === "newest") {
        if (cursor !== null) {
          throw invalidRequest([{ field: "cursor", message: "does not go with order=newest" }]);
        }
        const newest = await indexOf(c, namespace).newest(limit);
        const images = await Promise.all(newest.map(shownIn(c, namespace)));
        return c.json({ images } satisfies ImageList, 200, unkept);
      }
      const records = await indexOf(c, namespace).list(cursor, limit + 1);
      const page = records.slice(0, limit);
      const last = records.length > limit ? page.at(-1)?.id : undefined;
      const list: ImageList = {
        images: await Promise.all(page.map(shownIn(c, namespace))),
        ...(last === undefined ? {} : { cursor: last }),
      };
      return c.json(list, 200, unkept);
    },
    async imageUpdate(c) {
      const json = await readJson(c.req.raw, bodyLimits(settings), c.get("context"));
      const { namespace, id, ...changes } = parseOrRefuse(
        routes.imageUpdate.input.schema,
        fieldsWithPath(c, json),
      );
      const record = await indexOf(c, namespace).update(id, changes, Date.now());
      if (record === null) throw noSuch(id, namespace);
      return c.json(await shownIn(c, namespace)(record), 200, unkept);
    },
    async imageDelete(c) {
      const { namespace, id } = queryOf(c, routes.imageDelete.input.schema);
      const removed = await indexOf(c, namespace).remove(id);
      if (removed === null) throw noSuch(id, namespace);
      const { imageId, freed } = removed;
      const partition = tenantPartition(c.get("caller").tenant);
      const gone = freed && (await roomsOf(c).held.release(partition, imageId, namespace));
      await forgetIfEmpty(roomsOf(c), c.get("caller").tenant, namespace);
      const deleted: ImageDeleted = { id, image_id: imageId, deleted: true, picture_deleted: gone };
      return c.json(deleted, 200, unkept);
    },
    async namespaceList(c) {
      const asked = queryOf(c, routes.namespaceList.input.schema);
      const { prefix = "", cursor: after = "", limit = defaultPage } = asked;
      const { tenant } = c.get("caller");
      const names = await roomsOf(c).namespaces.list(tenant, { prefix, after, limit: limit + 1 });
      const page = names.slice(0, limit);
      const last = names.length > limit ? page.at(-1) : undefined;
      const list: NamespaceList = {
        namespaces: page.map((namespace) => ({ namespace })),
        ...(last === undefined ? {} : { cursor: last }),
      };
      return c.json(list, 200, unkept);
    },
    async namespaceRead(c) {
      const { namespace } = queryOf(c, routes.namespaceRead.input.schema);
      return c.json(await namespaceInfo(indexOf(c, namespace), namespace), 200, unkept);
    },
    async namespaceUpdate(c) {
      const json = await readJson(c.req.raw, bodyLimits(settings), c.get("context"));
      const asked = fieldsWithPath(c, json);
      const {
        namespace,
        candidates,
        keep_originals: keepOriginals,
      } = parseOrRefuse(routes.namespaceUpdate.input.schema, asked);
      const index = indexOf(c, namespace);
      if (candidates !== undefined) await moveCandidates(index, namespace, candidates);
      if (keepOriginals !== undefined) await index.configure({ keepOriginals });
      const own = tenantPartition(c.get("caller").tenant);
      const left = keepOriginals === false && (await roomsOf(c).kept.dropOriginals(own, namespace));
      const updated: NamespaceUpdated = {
        ...(await namespaceInfo(index, namespace)),
        ...(left ? { originals_left: true } : {}),
      };
      return c.json(updated, 200, unkept);
    },
    async namespaceDelete(c) {
      const { namespace } = queryOf(c, routes.namespaceDelete.input.schema);
      const { removed, left, freed } = await indexOf(c, namespace).clear(clearedAtOnce);
      const partition = tenantPartition(c.get("caller").tenant);
      const { held } = roomsOf(c);
      await pMap(freed, (imageId) => held.release(partition, imageId, namespace), {
        concurrency: releasedAtOnce,
      });
      if (left === 0) await forgetIfEmpty(roomsOf(c), c.get("caller").tenant, namespace);
      const deleted: NamespaceDeleted = { namespace, images_deleted: removed, images_left: left };
      return c.json(deleted, 200, unkept);
    },
  };
}
