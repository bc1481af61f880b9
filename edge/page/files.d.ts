// What the bundler makes of files that are no code (infra/build-page.mjs).
declare module "*.webp" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
