// What a node that joined keeps for its next start, in files that its owner alone can read: with which Worker, under
// which name, with which keys; and, before a token is spent, what proves that it was this box (wire/join.ts).
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { nodeKeySchema } from "@blip2-edge/shared/wire/heartbeat";
import { z } from "zod";
import { writeWhole } from "../disk/write-whole.ts";

const joiningSchema = z.strictObject({
  /** As much of the token as tells it from others. */
  token: z.string(),
  proof: z.string(),
});
const joinedSchema = z.strictObject({
  edge: z.string(),
  token: z.string(),
  name: z.string(),
  origin: z.string(),
  /** The newest first. */
  keys: z.array(nodeKeySchema).min(1),
});
export type JoinedState = z.infer<typeof joinedSchema>;

const files = {
  joining: { name: "joining.json", schema: joiningSchema },
  joined: { name: "node.json", schema: joinedSchema },
} as const;
type Kind = keyof typeof files;
type StateOf<Of extends Kind> = z.infer<(typeof files)[Of]["schema"]>;

/** Undefined where there is none. Errors: `usage` for a file that is none or cannot be read. */
export async function readNodeState<Of extends Kind>(
  folder: string,
  kind: Of,
): Promise<StateOf<Of> | undefined> {
  const { name, schema } = files[kind];
  const file = path.join(folder, name);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new AppError("usage", `${file} cannot be read: ${(cause as Error).message}.`, { cause });
  }
  try {
    return schema.parse(JSON.parse(text)) as StateOf<Of>;
  } catch {
    // No word of it: it has secrets in it.
    throw new AppError(
      "usage",
      `${file} is not what a node keeps. Move it away and join again with a new token.`,
    );
  }
}

/** Keys as a file of keys has them. Errors: `usage` where no node has joined, and as above. */
export async function readStateKeys(folder: string): Promise<string> {
  const joined = await readNodeState(folder, "joined");
  if (joined !== undefined) return joined.keys.map(({ id, secret }) => `${id}:${secret}`).join(",");
  throw new AppError("usage", `No node has joined with --state ${folder}.`);
}

/** Errors: `usage` when it cannot be written. */
export async function writeNodeState<Of extends Kind>(
  folder: string,
  kind: Of,
  state: StateOf<Of>,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const text = `${JSON.stringify(state, null, 2)}\n`;
  await writeWhole(path.join(folder, files[kind].name), text, 0o600);
}
