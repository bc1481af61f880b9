// How a caller names a picture, and the id a picture has. `image_id` is always the content.
import { z } from "zod";

/** `img_` + 64 hex digits: SHA-256 over the canonical 224 x 224 image, domain-separated. */
export const imageIdSchema = z.string().regex(/^img_[0-9a-f]{64}$/);
export type ImageId = z.infer<typeof imageIdSchema>;

/** Exactly one of the three forms; as multipart the file is the part `image` instead. */
export const imageInputSchema = z.union([
  z.strictObject({ url: z.string().min(1).max(8192) }),
  z.strictObject({ base64: z.string().min(1) }),
  z.strictObject({ image_id: imageIdSchema }),
]);
export type ImageInput = z.infer<typeof imageInputSchema>;
