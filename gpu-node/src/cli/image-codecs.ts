// The compiled image codecs for the command line, read from the installed packages when the first
// picture of a type comes. The Worker gets the same files from its bundle.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { CodecModules } from "@blip2-edge/shared/image/decode";
import { wasm, type WasmModule } from "@blip2-edge/shared/image/wasm";

const compile = (url: string) => async (): Promise<WasmModule> =>
  wasm.compile(await readFile(fileURLToPath(url)));

export const codecModules: CodecModules = {
  jpeg: compile(import.meta.resolve("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm")),
  png: compile(import.meta.resolve("@jsquash/png/codec/pkg/squoosh_png_bg.wasm")),
  webp: compile(import.meta.resolve("@jsquash/webp/codec/dec/webp_dec.wasm")),
};
