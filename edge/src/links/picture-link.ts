// What the token of a picture's link holds: whose picture, which file of it, until when. Neither the tenant nor the
// namespace can be read in it, and no key is needed to follow it, so it says nothing else.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { toHex } from "@blip2-edge/shared/hex";
import type { KeptFile } from "../images/kept-pictures.ts";
import type { TokenSealer } from "./token.ts";

export type LinkTarget = {
  readonly tenant: string;
  /** Unix seconds. */
  readonly until: number;
} & KeptFile;

export interface PictureLinks {
  write(target: LinkTarget): Promise<string>;
  /** Undefined: none that was written here, or changed on the way. Whether it is over is the caller's to see. */
  read(token: string): Promise<LinkTarget | undefined>;
}

const purpose = "picture";
const variants = ["thumbnail", "original"] as const;
const imageIdBytes = 32;
/** The variant, the time, the image_id; behind it whose it is. */
const headBytes = 1 + 4 + imageIdBytes;

export const pictureLinks = (tokens: TokenSealer): PictureLinks => ({
  write(target) {
    const { tenant, until, imageId, variant } = target;
    // Neither name has a slash.
    const whose = variant === "original" ? `${tenant}/${target.namespace}` : tenant;
    const tail = new TextEncoder().encode(whose);
    const content = new Uint8Array(headBytes + tail.length);
    content[0] = variants.indexOf(variant);
    new DataView(content.buffer).setUint32(1, until);
    content.set(fromHex(imageId.slice("img_".length)), 5);
    content.set(tail, headBytes);
    return tokens.seal(purpose, content);
  },
  async read(token) {
    const content = await tokens.open(purpose, token);
    if (content === undefined) return undefined;
    const imageId: ImageId = `img_${toHex(content.slice(5, headBytes))}`;
    const until = new DataView(content.buffer).getUint32(1);
    const whose = new TextDecoder().decode(content.slice(headBytes));
    const [tenant = "", namespace = ""] = whose.split("/");
    const about = { tenant, until, imageId };
    return variants[content[0] ?? 0] === "original"
      ? { ...about, variant: "original", namespace }
      : { ...about, variant: "thumbnail" };
  },
});

const fromHex = (text: string): Uint8Array =>
  Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  );
