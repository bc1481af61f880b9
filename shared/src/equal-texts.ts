// Compares a secret's digest with what somebody sent, without telling by time where they part.

/** Whether two texts are equal; the time depends on their lengths alone, which are public here. */
export function equalTexts(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  }
  return difference === 0;
}
