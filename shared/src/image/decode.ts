// The one decoder of Worker and command line: @jsquash's WebAssembly codecs behind one function.
// It never sees a byte that `checkImage` has not passed, lends the pixels instead of giving them (one
// decoded picture at a time per isolate), keeps one codec at most, and none whose memory has grown.
//
// What differs from Pillow: 16-bit greyscale is scaled to 8 bits, where Pillow clips at 255 and gives
// an almost white picture. Everything else that is accepted was compared and is equal to the last bit.
import jpegFactory from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import webpFactory from "@jsquash/webp/codec/dec/webp_dec.js";
import { AppError } from "../problem.ts";
import { startEmscripten, type EmscriptenFactory } from "./emscripten.ts";
import { type ImageHeader, type ImageType, typeNames } from "./header-facts.ts";
import { type Codec, instantiatePng } from "./png-codec.ts";
import { pngPixelParts } from "./png-header.ts";
import type { PixelSource } from "./resample.ts";
import type { WasmModule } from "./wasm.ts";

/** Compiled codecs, asked for when the first picture of a type arrives. */
export type CodecModules = Readonly<Record<ImageType, () => Promise<WasmModule>>>;

export interface Decoder {
  /**
   * Decodes a picture that `checkImage` has passed and calls `use` with its RGBA pixels, which are
   * valid only during that call. Throws image_corrupt when decoding fails or gives other dimensions
   * than the header; what `use` throws passes through.
   */
  readonly decode: <T>(
    bytes: Uint8Array,
    header: ImageHeader,
    use: (pixels: PixelSource) => T,
  ) => Promise<T>;
  /** WebAssembly memory held between two pictures, in bytes: that of the codec used last, or 0. */
  readonly heapBytes: () => number;
}

export interface DecoderOptions {
  /** A codec whose memory is larger after a picture is dropped; the next picture gets a fresh one. */
  readonly maxIdleHeapBytes?: number;
}

/** Covers pictures up to about 3 megapixels; a fresh instance costs 1 to 2 ms. */
const defaultMaxIdleHeapBytes = 32 * 1024 * 1024;

interface EmscriptenDecoder {
  /** The JPEG codec takes a second argument, the WebP codec refuses one. */
  readonly decode: (data: Uint8Array, ...preserveOrientation: boolean[]) => unknown;
}

/** Puts values in the place of globals until what it returns is called; nothing may await in between. */
function replaceGlobals(globals: Readonly<Record<string, unknown>>): () => void {
  const before = Object.keys(globals).map(
    (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
  );
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) Reflect.deleteProperty(globalThis, name);
      else Object.defineProperty(globalThis, name, descriptor);
    }
  };
}

/**
 * The codecs hand their pixels out as `new ImageData(new Uint8ClampedArray(view of their memory), …)`,
 * and look both constructors up when they decode for the first time. They get two that copy nothing:
 * the first gives the view back, the second calls `lend` while the memory is still theirs. That saves a
 * copy of the whole picture, half of what decoding needs.
 */
function lendingConstructors(lend: (data: Uint8Array, width: number, height: number) => void) {
  return {
    Uint8ClampedArray: function (view: Uint8Array) {
      return view;
    },
    ImageData: function (data: Uint8Array, width: number, height: number) {
      lend(data, width, height);
    },
  };
}

async function instantiateEmscripten(
  factory: EmscriptenFactory<EmscriptenDecoder>,
  module: WasmModule,
  extraArguments: readonly boolean[],
): Promise<Codec> {
  const { codec, heapBytes } = await startEmscripten(factory, module);
  let lent: (data: Uint8Array, width: number, height: number) => void = () => {};
  const constructors = lendingConstructors((data, width, height) => lent(data, width, height));
  return {
    decode<T>(parts: readonly Uint8Array[], use: (pixels: PixelSource) => T): T {
      const [bytes = new Uint8Array()] = parts;
      const results: T[] = [];
      const restore = replaceGlobals(constructors);
      lent = (data, width, height) => {
        restore();
        results.push(use({ data, width, height, channels: 4 }));
      };
      try {
        codec.decode(bytes, ...extraArguments);
      } finally {
        restore();
      }
      if (results.length === 0) throw new Error("the decoder gave no picture");
      return results[0] as T;
    },
    heapBytes,
  };
}

type DecoderFactory = EmscriptenFactory<EmscriptenDecoder>;
const instantiate: Readonly<Record<ImageType, (module: WasmModule) => Promise<Codec>>> = {
  jpeg: (module) => instantiateEmscripten(jpegFactory as DecoderFactory, module, [false]),
  webp: (module) => instantiateEmscripten(webpFactory as DecoderFactory, module, []),
  png: instantiatePng,
};

/** jsquash throws bare objects; the log gets a text in any case. */
const describe = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : `a thrown ${typeof thrown}`;

export function createDecoder(modules: CodecModules, options: DecoderOptions = {}): Decoder {
  const maxIdleHeapBytes = options.maxIdleHeapBytes ?? defaultMaxIdleHeapBytes;
  const codecs = new Map<ImageType, Promise<Codec>>();

  const codecOf = (type: ImageType): Promise<Codec> => {
    const held = codecs.get(type);
    if (held) return held;
    const codec = modules[type]().then(instantiate[type]);
    codecs.set(type, codec);
    // A module that could not be loaded is asked for again by the next picture.
    codec.catch(() => codecs.delete(type));
    return codec;
  };

  let idleBytes = 0;

  return {
    async decode(bytes, header, use) {
      const { type, width, height } = header;
      const held = codecOf(type);
      const codec = await held;
      // Memory that another codec keeps would come on top of what this one needs.
      for (const other of codecs.keys()) if (other !== type) codecs.delete(other);
      // From here to the end nothing awaits: two pictures are never decoded at the same moment.
      let keep = false;
      let used = false;
      try {
        const result = codec.decode(
          type === "png" ? pngPixelParts(bytes) : [bytes],
          (pixels: PixelSource) => {
            if (pixels.width !== width || pixels.height !== height) {
              throw new Error(
                `decoded to ${pixels.width} x ${pixels.height}, header ${width} x ${height}`,
              );
            }
            used = true;
            return use(pixels);
          },
        );
        keep = codec.heapBytes() <= maxIdleHeapBytes;
        return result;
      } catch (cause) {
        if (used) throw cause;
        throw new AppError(
          "image_corrupt",
          `The ${typeNames[type]} cannot be decoded: its data is damaged. Send an intact file.`,
          { internal: describe(cause), cause },
        );
      } finally {
        // After a failure the codec's memory may be in any state.
        if (!keep && codecs.get(type) === held) codecs.delete(type);
        idleBytes = keep ? codec.heapBytes() : 0;
      }
    },
    heapBytes: () => idleBytes,
  };
}
