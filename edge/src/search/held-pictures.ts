// Which namespaces hold a picture, as marks beside its pixels, so that the picture goes from everywhere when the
// last record of it does: its pixels, its thumbnail, what is cached of it, what it is known by. The file that a
// namespace keeps goes with that namespace's mark. Marks are set before a record and taken away after it, so a crash
// between leaves a picture too many and never one too few.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { MarkBook } from "../cache/marks.ts";
import { deletedPicture, type Purges } from "../cache/purges.ts";
import { originalName, thumbnailName } from "../images/kept-names.ts";
import type { Partition } from "../partition.ts";

/** What this room needs of R2. */
export interface MarkStore {
  put(key: string, value: Uint8Array): Promise<unknown>;
  delete(keys: string[]): Promise<void>;
  list(options: {
    prefix: string;
    cursor?: string;
  }): Promise<{ readonly objects: readonly { readonly key: string }[]; readonly cursor?: string }>;
}
/** What it needs of KV. */
export interface ResultNames {
  list(options: {
    prefix: string;
  }): Promise<{ readonly keys: readonly { readonly name: string }[] }>;
  delete(name: string): Promise<void>;
}

export interface HeldPictures {
  hold(partition: Partition, imageId: ImageId, namespace: string): Promise<void>;
  /** Takes the mark away, with what the namespace keeps of the picture. */
  unhold(partition: Partition, imageId: ImageId, namespace: string): Promise<void>;
  /** True: no namespace of the partition holds it any more, and nothing is kept of it. */
  release(partition: Partition, imageId: ImageId, namespace: string): Promise<boolean>;
  /** Deletes what people could look at, whatever holds the picture. */
  forgetFiles(partition: Partition, imageId: ImageId): Promise<void>;
}

const heldPrefix = (partition: Partition, imageId: ImageId): string =>
  `held/${partition}/${imageId}/`;

export interface HeldPicturesOptions {
  readonly store: MarkStore;
  readonly results: ResultNames;
  readonly purges: Pick<Purges, "add">;
  readonly marks: Pick<MarkBook, "forget">;
}

export function heldPictures({ store, results, purges, marks }: HeldPicturesOptions): HeldPictures {
  async function namesUnder(prefix: string): Promise<string[]> {
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
      names.push(...page.objects.map(({ key }) => key));
      cursor = page.cursor;
    } while (cursor !== undefined);
    return names;
  }

  /** Results that are computed meanwhile may be left in KV until they expire: the purge makes nobody believe them. */
  async function forget(partition: Partition, imageId: ImageId): Promise<void> {
    await purges.add({ partition, imageId, modelRevision: deletedPicture });
    const names = await namesUnder(`pixels/${partition}/${imageId}/`);
    const thumbnail = thumbnailName(partition, imageId);
    await store.delete([...names, thumbnail, `known/${partition}/${imageId}`]);
    await marks.forget(partition, imageId);
    const { keys } = await results.list({ prefix: `results/${partition}/${imageId}/` });
    await Promise.all(keys.map(({ name }) => results.delete(name)));
  }

  const unhold = (partition: Partition, imageId: ImageId, namespace: string): Promise<void> =>
    store.delete([
      `${heldPrefix(partition, imageId)}${namespace}`,
      originalName(partition, namespace, imageId),
    ]);

  return {
    async hold(partition, imageId, namespace) {
      await store.put(`${heldPrefix(partition, imageId)}${namespace}`, new Uint8Array(0));
    },
    unhold,
    async release(partition, imageId, namespace) {
      await unhold(partition, imageId, namespace);
      const others = await namesUnder(heldPrefix(partition, imageId));
      if (others.length > 0) return false;
      await forget(partition, imageId);
      return true;
    },
    async forgetFiles(partition, imageId) {
      const prefix = heldPrefix(partition, imageId);
      const namespaces = (await namesUnder(prefix)).map((name) => name.slice(prefix.length));
      await store.delete([
        thumbnailName(partition, imageId),
        ...namespaces.map((namespace) => originalName(partition, namespace, imageId)),
      ]);
    },
  };
}
