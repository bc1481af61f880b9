// The one encoder, for thumbnails: libwebp by way of @jsquash/webp, lossy, alpha kept. Settings are fixed and its
// WebAssembly is the same everywhere, so equal pixels give equal bytes.
import encoderFactory from "@jsquash/webp/codec/enc/webp_enc_simd.js";
import { defaultOptions } from "@jsquash/webp/meta.js";
import { startEmscripten, type EmscriptenFactory, type StartedCodec } from "./emscripten.ts";
import type { RgbaPicture } from "./thumbnail.ts";
import type { WasmModule } from "./wasm.ts";

/** A compiled encoder, asked for when the first picture arrives. */
export type EncoderModule = () => Promise<WasmModule>;

export interface WebpEncoder {
  readonly encode: (picture: RgbaPicture) => Promise<Uint8Array<ArrayBuffer>>;
  /** WebAssembly memory held between two pictures. */
  readonly heapBytes: () => number;
  /** Lets it go; the next picture gets a fresh one. */
  readonly drop: () => void;
}

interface EmscriptenEncoder {
  /** Gives a copy; null when it fails. */
  readonly encode: (
    rgba: Uint8Array,
    width: number,
    height: number,
    options: Readonly<Record<string, number>>,
  ) => Uint8Array<ArrayBuffer> | null;
}

const options = { ...defaultOptions, quality: 75 };

/** Throws when the encoder fails, which is no fault of the picture: any pixels can be encoded. */
export function createWebpEncoder(module: EncoderModule): WebpEncoder {
  let held: StartedCodec<EmscriptenEncoder> | undefined;
  return {
    async encode({ data, width, height }) {
      // No request waits for one that another has begun: two may be started, and one is kept.
      const started =
        held ??
        (await startEmscripten(
          encoderFactory as EmscriptenFactory<EmscriptenEncoder>,
          await module(),
        ));
      held = started;
      try {
        const encoded = started.codec.encode(data, width, height, options);
        if (encoded === null) throw new Error("the WebP encoder gave nothing");
        return encoded;
      } catch (cause) {
        // Its memory may be in any state.
        held = undefined;
        throw cause instanceof Error ? cause : new Error("the WebP encoder failed", { cause });
      }
    },
    heapBytes: () => held?.heapBytes() ?? 0,
    drop() {
      held = undefined;
    },
  };
}
