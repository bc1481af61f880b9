// The id of a record that stands for a file: made of the file's path in its folder, the same on every machine and at
// every run, and never the same for two paths.
import { createHash } from "node:crypto";
import path from "node:path";

/** As the contract has it (shared/src/contracts/images.ts). */
const maxCharacters = 200;
const keptCharacters = 150;

function escaped(part: string): string {
  return Array.from(new TextEncoder().encode(part), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_.-]/.test(character)
      ? character
      : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** : for a slash, =XX for what an id may not hold; of a long path the beginning, and a digest of all of it. */
export function idOfPath(relative: string): string {
  const whole = relative.split(path.sep).map(escaped).join(":");
  const id = /^[A-Za-z0-9_]/.test(whole) ? whole : `_=${whole}`;
  if (id.length <= maxCharacters) return id;
  const digest = createHash("sha256").update(relative).digest("hex").slice(0, 40);
  // No id of a short path has a tilde.
  return `${id.slice(0, keptCharacters)}~${digest}`;
}
