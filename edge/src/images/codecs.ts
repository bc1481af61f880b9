// The compiled codecs, as modules of the bundle: workerd compiles WebAssembly only ahead of time.
import jpeg from "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm";
// @ts-expect-error The package declares the exports of the instance, where bundlers give the module.
import png from "@jsquash/png/codec/pkg/squoosh_png_bg.wasm";
import webpEncoder from "@jsquash/webp/codec/enc/webp_enc_simd.wasm";
import webp from "@jsquash/webp/codec/dec/webp_dec.wasm";
import type { CodecModules } from "@blip2-edge/shared/image/decode";
import type { EncoderModule } from "@blip2-edge/shared/image/encode-webp";

export const codecModules: CodecModules & { readonly webpEncoder: EncoderModule } = {
  jpeg: () => Promise.resolve(jpeg),
  png: () => Promise.resolve(png),
  webp: () => Promise.resolve(webp),
  webpEncoder: () => Promise.resolve(webpEncoder),
};
