import fc from "fast-check";
import { expect, test } from "vitest";
import { recordIdSchema } from "@blip2-edge/shared/contracts/images";
import { idOfPath } from "./record-id.ts";

test("an id for every path, never the same for two", () => {
  const part = fc
    .string({ minLength: 1, maxLength: 60, unit: "grapheme" })
    .filter((name) => !name.includes("/"));
  const file = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  fc.assert(
    fc.property(file, file, (a, b) => {
      const id = idOfPath(a);
      expect(recordIdSchema.safeParse(id).success, id).toBe(true);
      if (a !== b) expect(idOfPath(b)).not.toBe(id);
    }),
  );
});

test("long paths that begin alike", () => {
  const long = "folder/".repeat(60);
  const [a, b] = [idOfPath(`${long}a.jpg`), idOfPath(`${long}b.jpg`)];
  expect(a).not.toBe(b);
  expect(recordIdSchema.safeParse(a).success).toBe(true);
  expect(idOfPath("sub/a é.jpg")).toBe("sub:a=20=C3=A9.jpg");
});
