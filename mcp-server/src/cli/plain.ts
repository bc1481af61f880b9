/** What others or a model wrote, on one line of a terminal: nothing in it commands one or turns its direction. */
export const plain = (text: string): string =>
  text.replaceAll(/(?:[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200C\u200D])\p{Cf})+/gu, " ").trim();
