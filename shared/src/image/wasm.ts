// WebAssembly as far as the codecs need it. Node, workerd and browsers all have the global, but only
// some of their type libraries declare it, so the few shapes are written down here.

/** A compiled module; opaque. Anything that `WebAssembly.compile` or a bundler's .wasm import gives. */
export type WasmModule = object;

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}

export type WasmImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface WasmGlobal {
  readonly compile: (bytes: Uint8Array) => Promise<WasmModule>;
  readonly Instance: new (module: WasmModule, imports: WasmImports) => WasmInstance;
  readonly Memory: new (descriptor: { readonly initial: number }) => WasmMemory;
  readonly Module: {
    readonly imports: (module: WasmModule) => readonly { readonly name: string }[];
  };
}

export const wasm = (globalThis as unknown as { readonly WebAssembly: WasmGlobal }).WebAssembly;
