// How a caller names a picture, and the id a picture has. `image_id` is always the content.
import { z } from "zod";

/** `img_` + 64 hex digits: SHA-256 over the canonical 224 x 224 image, domain-separated. */
export const imageIdSchema = z
  .string()
  .regex(/^img_[0-9a-f]{64}$/, "must be img_ and 64 hex digits (lower case)");
export type ImageId = z.infer<typeof imageIdSchema>;

/** What every answer about a picture says of it. */
export const pictureOfAnswer = {
  image_id: imageIdSchema,
  image_exact: z
    .literal(false)
    .optional()
    .describe(
      "Present when the picture was not decoded and resized exactly as the reference does: it was too large, of another type, or there was no room, and Cloudflare Images shrank it first. `image_id` is then that of what the model saw.",
    ),
} as const;

export const imageUrlSchema = z.string().min(1).max(8192);

/** Exactly one of the three forms; as multipart the file is the part `image` instead. */
export const imageInputSchema = z.union(
  [
    z.strictObject({ url: imageUrlSchema }),
    z.strictObject({ base64: z.string().min(1) }),
    z.strictObject({ image_id: imageIdSchema }),
  ],
  {
    error: ({ input }) =>
      input === undefined
        ? "is missing"
        : 'must be one of {"url": "…"}, {"base64": "…"} and {"image_id": "img_…"}',
  },
);
export type ImageInput = z.infer<typeof imageInputSchema>;
