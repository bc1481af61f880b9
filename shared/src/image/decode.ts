// The one decoder of Worker and command line: @jsquash's WebAssembly codecs behind one function.
// It never sees a byte that `checkImage` has not passed, lends the pixels instead of giving them (one
// decoded picture at a time per isolate), and lets go of a codec whose memory has grown.
//
// What differs from Pillow: 16-bit greyscale is scaled to 8 bits, where Pillow clips at 255 and gives
// an almost white picture. Everything else that is accepted was compared and is equal to the last bit.
import jpegFactory from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import webpFactory from "@jsquash/webp/codec/dec/webp_dec.js";
import { AppError } from "../problem.ts";
import { type ImageHeader, type ImageType, typeNames } from "./header-facts.ts";
import { type Codec, instantiatePng } from "./png-codec.ts";
import { pngPixelParts } from "./png-header.ts";
import type { PixelSource } from "./resample.ts";
import {
  wasm,
  type WasmImports,
  type WasmInstance,
  type WasmMemory,
  type WasmModule,
} from "./wasm.ts";

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
  /** WebAssembly memory held now, in bytes, for tests and metrics. */
  readonly heapBytes: () => number;
}

export interface DecoderOptions {
  /** A codec whose memory is larger after a picture is dropped; the next picture gets a fresh one. */
  readonly maxIdleHeapBytes?: number;
}

/** Covers pictures up to about 3 megapixels; a fresh instance costs 1 to 2 ms. */
const defaultMaxIdleHeapBytes = 32 * 1024 * 1024;

interface RgbaImage {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

interface EmscriptenCodec {
  /** The JPEG codec takes a second argument, the WebP codec refuses one. */
  readonly decode: (data: Uint8Array, ...preserveOrientation: boolean[]) => RgbaImage | null;
}

interface EmscriptenOptions {
  readonly noInitialRun: boolean;
  readonly locateFile: (name: string) => string;
  readonly print: () => void;
  readonly printErr: () => void;
  readonly instantiateWasm: (
    imports: WasmImports,
    receive: (instance: WasmInstance) => void,
  ) => WasmInstance["exports"];
}

type EmscriptenFactory = (options: EmscriptenOptions) => Promise<EmscriptenCodec>;

/** The codecs construct an ImageData; Node and workerd have none. An existing one is left alone. */
function ensureImageData(): void {
  const holder = globalThis as { ImageData?: unknown };
  holder.ImageData ??= class ImageData {
    readonly data: Uint8ClampedArray;
    readonly width: number;
    readonly height: number;
    constructor(data: Uint8ClampedArray, width: number, height: number) {
      this.data = data;
      this.width = width;
      this.height = height;
    }
  };
}

async function instantiateEmscripten(
  factory: EmscriptenFactory,
  module: WasmModule,
  extraArguments: readonly boolean[],
): Promise<Codec> {
  ensureImageData();
  let memory: WasmMemory | undefined;
  const codec = await factory({
    noInitialRun: true,
    // Nothing is ever located: the module is given. Without this the glue reads import.meta.url.
    locateFile: (name) => name,
    print: () => {},
    printErr: () => {},
    instantiateWasm(imports, receive) {
      const instance = new wasm.Instance(module, imports);
      for (const value of Object.values(instance.exports)) {
        if (value instanceof wasm.Memory) memory = value;
      }
      receive(instance);
      return instance.exports;
    },
  });
  return {
    decode(parts, use) {
      const [bytes] = parts;
      const image = bytes === undefined ? null : codec.decode(bytes, ...extraArguments);
      if (!image) throw new Error("the decoder gave no picture");
      const { data, width, height } = image;
      return use({ data, width, height, channels: 4 });
    },
    heapBytes: () => memory?.buffer.byteLength ?? 0,
  };
}

const instantiate: Readonly<Record<ImageType, (module: WasmModule) => Promise<Codec>>> = {
  jpeg: (module) => instantiateEmscripten(jpegFactory as EmscriptenFactory, module, [false]),
  webp: (module) => instantiateEmscripten(webpFactory as EmscriptenFactory, module, []),
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

  let heldBytes: Partial<Record<ImageType, number>> = {};

  return {
    async decode(bytes, header, use) {
      const { type, width, height } = header;
      const codec = await codecOf(type);
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
        if (!keep) codecs.delete(type);
        heldBytes = { ...heldBytes, [type]: keep ? codec.heapBytes() : 0 };
      }
    },
    heapBytes: () => Object.values(heldBytes).reduce((sum, bytes) => sum + bytes, 0),
  };
}
