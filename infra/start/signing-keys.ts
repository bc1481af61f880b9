// How keys between edge and node are written in a setting; shared/src/wire/signature.ts reads it.

export interface KeyText {
  readonly id: string;
  readonly secret: string;
}

/** `id:secret` pairs separated by commas; the first signs. */
export const formatSigningKeys = (keys: readonly KeyText[]): string =>
  keys.map(({ id, secret }) => `${id}:${secret}`).join(",");
