// What infra/build-page.mjs writes beside this file.
export declare const page: {
  readonly html: string;
  /** Sources of Content-Security-Policy: the digests of what stands between the tags. */
  readonly script: string;
  readonly style: string;
};
