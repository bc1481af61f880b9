// Pictures that the exact path does not take, read and shrunk by Cloudflare Images: through an interface
// as narrow as this, because it is another decoder with another resampler, and only there when bound. It
// gives a PNG of at most `shrunkSide` a side, which then goes the exact path. Orientation and colour
// profiles are applied on the way; of an animation the first frame is taken (docs/edge-pictures.md).
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";

/** What this room needs of the binding. */
export interface ImagesBinding {
  input(stream: ReadableStream<Uint8Array>): {
    transform(options: {
      readonly width: number;
      readonly height: number;
      readonly fit: "scale-down";
    }): {
      output(options: {
        readonly format: "image/png";
        readonly anim: false;
      }): Promise<{ image(): ReadableStream<Uint8Array> }>;
    };
  };
}

/** The PNG's bytes. Throws image_corrupt, image_too_large, overloaded. */
export type Shrink = (bytes: Uint8Array, signal: AbortSignal) => Promise<Uint8Array<ArrayBuffer>>;

/** Several times a model's input, so that the second resize decides most of what the model sees. */
export const shrunkSide = 1024;
/** Of such a PNG at its worst: noise with alpha does not compress. */
export const maxShrunkBytes = shrunkSide * shrunkSide * 4 + 65_536;

/** Its own numbers (developers.cloudflare.com/images/reference/troubleshooting). */
const tooLargeCodes = new Set([9402, 9413]);
const busyCodes = new Set([9422, 9423, 9504, 9505, 9510, 9524, 9529]);

/** Workers errors carry `code`; the local simulation writes it into the message. */
function codeOf(error: unknown): number {
  if (!(error instanceof Error)) return 0;
  const { code } = error as { readonly code?: unknown };
  return typeof code === "number" ? code : Number(/\b(9\d{3})\b/.exec(error.message)?.[1] ?? 0);
}

function problemOf(error: unknown): AppError {
  const code = codeOf(error);
  const internal = `Images binding: ${code}`;
  if (tooLargeCodes.has(code)) {
    return new AppError(
      "image_too_large",
      "The image is too large even to be shrunk first (100 megapixels, 12,000 on a side). Send a smaller copy.",
      { internal, cause: error },
    );
  }
  if (busyCodes.has(code)) {
    return new AppError("overloaded", "The image could not be shrunk now. Try again.", {
      retryAfterS: 2,
      internal,
      cause: error,
    });
  }
  return new AppError(
    "image_corrupt",
    "The image cannot be decoded: its data is damaged, or of a kind that is not supported. Send a JPEG, PNG or WebP.",
    { internal, cause: error },
  );
}

export function shrinker(options: {
  readonly images: ImagesBinding;
  readonly timeoutMs: number;
}): Shrink {
  const { images, timeoutMs } = options;
  return async (bytes, signal) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = AbortSignal.any([signal, timeout]);
    // The binding takes no signal: who does not wait any longer lets it end by itself.
    const stopped = new Promise<never>((_, reject) => {
      either.addEventListener("abort", () => reject(either.reason as Error), { once: true });
    });
    stopped.catch(() => {});
    const work = async (): Promise<Uint8Array<ArrayBuffer>> => {
      const result = await images
        .input(streamOf(bytes))
        .transform({ width: shrunkSide, height: shrunkSide, fit: "scale-down" })
        .output({ format: "image/png", anim: false });
      const read = await readBounded(result.image(), maxShrunkBytes, either);
      if (!read.ok) throw new Error(`a PNG of more than ${maxShrunkBytes} bytes`);
      return read.bytes;
    };
    try {
      either.throwIfAborted();
      return await Promise.race([work(), stopped]);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (timeout.aborted) {
        throw new AppError("overloaded", `The image was not shrunk within ${timeoutMs} ms.`, {
          retryAfterS: 2,
        });
      }
      throw problemOf(error);
    }
  };
}

/** In pieces, so that the copy that travels is never the whole file. */
function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  const pieceBytes = 65_536;
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + pieceBytes));
      at += pieceBytes;
    },
  });
}
