// What is kept of a picture for people to look at, in R2: its thumbnail, and the file as it was sent where a
// namespace asks for that. Always the tenant's own, made of what this tenant sent: an image_id says what a model
// sees of a picture, and two files may agree in that and look different (docs/decisions/0140).
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { sha256Hex } from "@blip2-edge/shared/hex";
import type { RgbaPicture } from "@blip2-edge/shared/image/thumbnail";
import type { Partition } from "../partition.ts";
import { contentTypeOf } from "./content-type.ts";
import { originalName, originalsPrefix, thumbnailName } from "./kept-names.ts";

/** What this room needs of R2. */
export interface KeptStore {
  put(
    key: string,
    value: Uint8Array,
    options: { customMetadata: Record<string, string> },
  ): Promise<unknown>;
  get(
    key: string,
  ): Promise<
    (StoredFile & { readonly body: ReadableStream<Uint8Array>; readonly size: number }) | null
  >;
  head(key: string): Promise<StoredFile | null>;
  list(options: { prefix: string }): Promise<{
    readonly objects: readonly { readonly key: string }[];
    readonly truncated: boolean;
  }>;
  delete(keys: string[]): Promise<void>;
}
interface StoredFile {
  readonly customMetadata?: Record<string, string>;
}

/** Which file of which picture. */
export type KeptFile = { readonly imageId: ImageId } & (
  | { readonly variant: "thumbnail" }
  | { readonly variant: "original"; readonly namespace: string }
);

export interface OpenedFile {
  readonly body: ReadableStream<Uint8Array>;
  readonly bytes: number;
  readonly type: string;
  /** A strong entity tag. */
  readonly tag: string;
}

export interface KeptPictures {
  putThumbnail(own: Partition, imageId: ImageId, pixels: RgbaPicture): Promise<void>;
  putOriginal(
    own: Partition,
    namespace: string,
    imageId: ImageId,
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<void>;
  /** When the request began that put it, Unix milliseconds; undefined: it is not there, or forgotten. */
  thumbnailAt(own: Partition, imageId: ImageId): Promise<number | undefined>;
  open(own: Partition, file: KeptFile): Promise<OpenedFile | undefined>;
  /** Of a namespace, some thousand with each call. True: some are left. */
  dropOriginals(own: Partition, namespace: string): Promise<boolean>;
}

export interface KeptPicturesOptions {
  readonly store: KeptStore;
  readonly encode: (pixels: RgbaPicture) => Promise<Uint8Array<ArrayBuffer>>;
  /** When the request began, Unix milliseconds: what it stores is of that time. */
  readonly at: number;
  /** When what was known of an image was last forgotten. */
  readonly purgedAt: (own: Partition, imageId: ImageId) => Promise<number>;
}

const thumbnailType = "image/webp";
const pagesAtOnce = 20;

const nameOf = (own: Partition, file: KeptFile): string =>
  file.variant === "thumbnail"
    ? thumbnailName(own, file.imageId)
    : originalName(own, file.namespace, file.imageId);
const storedAt = ({ customMetadata }: StoredFile): number => Number(customMetadata?.["at"] ?? 0);

export function keptPictures(options: KeptPicturesOptions): KeptPictures {
  const { store, encode, at, purgedAt } = options;
  const put = async (name: string, bytes: Uint8Array<ArrayBuffer>, type: string): Promise<void> => {
    const tag = `"${(await sha256Hex(bytes)).slice(0, 32)}"`;
    await store.put(name, bytes, { customMetadata: { at: String(at), type, tag } });
  };
  return {
    async putThumbnail(own, imageId, pixels) {
      await put(thumbnailName(own, imageId), await encode(pixels), thumbnailType);
    },
    putOriginal: (own, namespace, imageId, bytes) =>
      put(originalName(own, namespace, imageId), bytes, contentTypeOf(bytes)),
    async thumbnailAt(own, imageId) {
      const found = await store.head(thumbnailName(own, imageId));
      if (found === null || storedAt(found) <= (await purgedAt(own, imageId))) return undefined;
      return storedAt(found);
    },
    async open(own, file) {
      const found = await store.get(nameOf(own, file));
      if (found === null) return undefined;
      const { body, size: bytes, customMetadata = {} } = found;
      if (storedAt(found) <= (await purgedAt(own, file.imageId))) {
        await body.cancel();
        return undefined;
      }
      const { type = "application/octet-stream", tag = "" } = customMetadata;
      return { body, bytes, type, tag };
    },
    async dropOriginals(own, namespace) {
      for (let page = 0; page < pagesAtOnce; page++) {
        const { objects, truncated } = await store.list({
          prefix: originalsPrefix(own, namespace),
        });
        if (objects.length > 0) await store.delete(objects.map(({ key }) => key));
        if (!truncated) return false;
      }
      return true;
    },
  };
}
