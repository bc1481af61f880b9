// The glue between JavaScript and jsquash's PNG decoder (Rust's png crate through wasm-bindgen).
// jsquash's own glue keeps one instance per process for ever and copies the pixels; this one can be
// dropped and lends a view. It is bound to version 3.1.1 of @jsquash/png, which edge and gpu-node name.
import type { PixelSource } from "./resample.ts";
import { wasm, type WasmImports, type WasmMemory, type WasmModule } from "./wasm.ts";

interface PngExports {
  readonly memory: WasmMemory;
  readonly decode: (offset: number, length: number) => number;
  readonly __wbindgen_malloc: (length: number, alignment: number) => number;
  readonly __wbindgen_free: (offset: number, length: number, alignment: number) => void;
}

interface Lent {
  readonly offset: number;
  readonly length: number;
  readonly width: number;
  readonly height: number;
}

export interface Codec {
  /** RGBA, valid only inside `use`; throws anything at all when the picture cannot be decoded. */
  readonly decode: <T>(parts: readonly Uint8Array[], use: (pixels: PixelSource) => T) => T;
  readonly heapBytes: () => number;
}

/** Import names end in a hash of the build, so they are matched by their beginnings. */
function bind(
  module: WasmModule,
  known: Readonly<Record<string, (...values: number[]) => number | void>>,
): WasmImports {
  const bound: Record<string, (...values: number[]) => number | void> = {};
  for (const { name } of wasm.Module.imports(module)) {
    const entry = Object.entries(known).find(([start]) => name.startsWith(start));
    bound[name] =
      entry?.[1] ??
      (() => {
        throw new Error(`the PNG decoder called ${name}`);
      });
  }
  return { wbg: bound };
}

export async function instantiatePng(module: WasmModule): Promise<Codec> {
  let lent: Lent | undefined;
  const imports = bind(module, {
    __wbg_newwithownedu8clampedarray: (offset = 0, length = 0, width = 0, height = 0) => {
      lent = { offset: offset >>> 0, length: length >>> 0, width, height };
      return 0;
    },
    __wbindgen_object_drop_ref: () => {},
    __wbindgen_throw: () => {
      throw new Error("the PNG decoder panicked");
    },
  });
  // At once, so that no request of an isolate waits on what another one began.
  const instance = new wasm.Instance(module, imports);
  const exports = instance.exports as unknown as PngExports;
  return {
    decode(parts, use) {
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      // The decoder takes ownership of the input.
      const input = exports.__wbindgen_malloc(length, 1) >>> 0;
      const heap = new Uint8Array(exports.memory.buffer);
      let at = input;
      for (const part of parts) {
        heap.set(part, at);
        at += part.length;
      }
      lent = undefined;
      exports.decode(input, length);
      const output = lent as Lent | undefined;
      if (output === undefined) throw new Error("the PNG decoder gave no pixels");
      try {
        return use({
          data: new Uint8ClampedArray(exports.memory.buffer, output.offset, output.length),
          width: output.width,
          height: output.height,
          channels: 4,
        });
      } finally {
        exports.__wbindgen_free(output.offset, output.length, 1);
      }
    },
    heapBytes: () => exports.memory.buffer.byteLength,
  };
}
