/**
 * Gives the memory behind some numbers back at once, of a buffer of ours or of the runtime's: a collection may come only
 * after the next hundred megabytes. Whoever still holds a view of it finds it empty.
 */
export const giveBack = ({ buffer }: ArrayBufferView): void =>
  void (buffer as ArrayBuffer).transfer(0);
