// Finds names that occur twice in one object of a JSON text. JSON.parse keeps the last of them in silence,
// so two readers of one file could see two different tensors under one name.

/** The first name that an object of `text` holds twice. `text` must be JSON that JSON.parse took. */
export function findDuplicateKey(text: string): string | undefined {
  const objects: (Set<string> | undefined)[] = []; // undefined stands for an array
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === "{") objects.push(new Set());
    else if (char === "[") objects.push(undefined);
    else if (char === "}" || char === "]") objects.pop();
    else if (char === '"') {
      const start = at;
      for (at += 1; text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
      const end = at + 1;
      let next = end;
      while (/\s/.test(text[next] ?? "")) next += 1;
      if (text[next] !== ":") continue;
      const keys = objects.at(-1);
      const key = JSON.parse(text.slice(start, end)) as string;
      if (keys?.has(key) === true) return key;
      keys?.add(key);
    }
  }
  return undefined;
}
