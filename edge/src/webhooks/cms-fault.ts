// What can go wrong with a CMS, in words that an editor reads beside the picture. `again`: it may go well later.

const faults = {
  cms_unreachable: { again: true, text: "The CMS could not be reached." },
  cms_timeout: { again: true, text: "The CMS did not answer in time." },
  cms_busy: { again: true, text: "The CMS asked us to slow down." },
  cms_error: { again: true, text: "The CMS answered with an error of its own." },
  cms_not_ready: { again: true, text: "The CMS has not finished with the file yet." },
  cms_file_failed: { again: false, text: "The CMS could not process the file." },
  cms_file_private: {
    again: false,
    text: "The file is private in the CMS, and the connection's token does not open it.",
  },
  cms_unexpected: { again: false, text: "The CMS gave an answer that was not understood." },
  token_refused: {
    again: true,
    text: "The CMS refused the connection's token. Give the connection a new one; it is tried again.",
  },
  address_refused: {
    again: false,
    text: "The CMS is at an address that may not be asked. See `allow_private`.",
  },
} as const;

export type CmsFaultCode = keyof typeof faults;

/** Undefined: it is none of these. */
export const cmsFaultText = (code: string): string | undefined =>
  Object.hasOwn(faults, code) ? faults[code as CmsFaultCode].text : undefined;

export class CmsFault extends Error {
  readonly code: CmsFaultCode;
  readonly again: boolean;
  readonly retryAfterS: number | undefined;
  /** For the log only. */
  readonly internal: string | undefined;

  constructor(
    code: CmsFaultCode,
    options: {
      readonly internal?: string;
      readonly cause?: unknown;
      readonly retryAfterS?: number;
    } = {},
  ) {
    super(faults[code].text, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CmsFault";
    this.code = code;
    this.again = faults[code].again;
    this.retryAfterS = options.retryAfterS;
    this.internal = options.internal;
  }
}

/** An answer that the adapter has no meaning for. */
export const unexpected = (what: string, { status }: { readonly status: number }): CmsFault =>
  new CmsFault("cms_unexpected", { internal: `${what}: ${status}` });
