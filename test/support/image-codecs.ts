// The image codecs for tests under Node, read straight from the installed packages.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { CodecModules } from "@blip2-edge/shared/image/decode";
import type { EncoderModule } from "@blip2-edge/shared/image/encode-webp";
import { wasm } from "@blip2-edge/shared/image/wasm";

const require = createRequire(import.meta.url);
const compile = (specifier: string) => async () =>
  wasm.compile(await readFile(require.resolve(specifier)));

export const testCodecModules: CodecModules & { readonly webpEncoder: EncoderModule } = {
  jpeg: compile("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm"),
  png: compile("@jsquash/png/codec/pkg/squoosh_png_bg.wasm"),
  webp: compile("@jsquash/webp/codec/dec/webp_dec.wasm"),
  webpEncoder: compile("@jsquash/webp/codec/enc/webp_enc_simd.wasm"),
};
