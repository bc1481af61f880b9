// The rooms that tasks put in order; made for each request in isolate.ts.
import type { Sealer } from "../auth/seal.ts";
import type { ResultCache } from "../cache/results.ts";
import type { LinksOf } from "../links/record-links.ts";
import type { AskNode } from "../nodes/ask.ts";
import type { Models } from "../nodes/catalog.ts";
import type { PartitionTag } from "../nodes/partition-tag.ts";
import type { HeldPictures } from "../search/held-pictures.ts";
import type { MovableIndex } from "../search/image-index.ts";
import type { NamespaceNames } from "../search/namespace-names.ts";
import type { Meter } from "../usage/meter.ts";
import type { Collapse } from "../collapse/collapse.ts";
import type { PictureRooms } from "./open-picture.ts";

export interface Rooms extends PictureRooms {
  readonly models: Models;
  readonly results: ResultCache;
  readonly collapse: Collapse;
  readonly askNode: AskNode;
  readonly meter: Pick<Meter, "spend">;
  readonly partitionTag: PartitionTag;
  readonly indexOf: (tenant: string, namespace: string) => MovableIndex;
  readonly held: HeldPictures;
  /** Of a record to the files of its picture. */
  readonly linksOf: LinksOf;
  readonly namespaces: NamespaceNames;
  readonly sealer: Sealer;
}
