// Starts one of jsquash's codecs that Emscripten made, from a module that is compiled already. Nothing is located,
// fetched or printed, and its memory can be measured and dropped with it.
import {
  wasm,
  type WasmImports,
  type WasmInstance,
  type WasmMemory,
  type WasmModule,
} from "./wasm.ts";

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

export type EmscriptenFactory<Exports> = (options: EmscriptenOptions) => Promise<Exports>;

export interface StartedCodec<Exports> {
  readonly codec: Exports;
  readonly heapBytes: () => number;
}

export async function startEmscripten<Exports>(
  factory: EmscriptenFactory<Exports>,
  module: WasmModule,
): Promise<StartedCodec<Exports>> {
  let memory: WasmMemory | undefined;
  const codec = await factory({
    noInitialRun: true,
    // The module is given. Without this the glue reads import.meta.url.
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
  return { codec, heapBytes: () => memory?.buffer.byteLength ?? 0 };
}
