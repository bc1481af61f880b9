// Of CMSs that keep no version of a file's bytes: its name on disk, size and dimensions stand for it, in our hooks'
// words and in the CMS's own. A file replaced by one that is the same in all of these is taken for the same.
import { z } from "zod";
import { toldId } from "./standard-webhooks.ts";

/** Zero and false are what PHP says of a file that it could not measure. */
const measure = z.union([z.number(), z.string(), z.boolean()]).nullish().catch(undefined);

const facts = {
  file: z.string().nullish(),
  filesize: measure,
  width: measure,
  height: measure,
};
export const fileFactsSchema = z.object(facts);
export type FileFacts = z.output<typeof fileFactsSchema>;

/** What our hooks inside a CMS send as `data`. */
export const toldFileSchema = z.object({ id: toldId, mime_type: z.string().nullish(), ...facts });

const numberOf = (value: FileFacts["filesize"]): number => Number(value ?? 0) || 0;

export const versionOfFile = ({ file, filesize, width, height }: FileFacts): string =>
  `${file ?? ""}-${numberOf(filesize)}-${numberOf(width)}x${numberOf(height)}`;
