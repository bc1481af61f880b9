// The only file that knows @huggingface/tokenizers. Text to ids with the specials the processor adds
// (OPT: `</s>` first; BERT: [CLS] and [SEP]), ids to text. Image placeholders are the caller's business: a text must not
// contain them.
import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { AppError } from "@blip2-edge/shared/problem";

export interface Tokenizer {
  /** Ids of a text with the tokenizer's own specials. */
  encode(text: string): number[];
  /** Text of generated ids: special tokens skipped, white space at both ends stripped. */
  decode(ids: readonly number[]): string;
  /** Whether decoding takes away spaces before punctuation: then more ids may change the text of those before. */
  readonly cleansUp: boolean;
}

export interface TokenizerFiles {
  /** Parsed tokenizer.json. */
  readonly tokenizer: unknown;
  /** Parsed tokenizer_config.json. */
  readonly config: unknown;
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/**
 * Whether decoding takes away spaces before punctuation: only where the configuration says so, never for BPE,
 * whose text it would spoil. Source: transformers 5.18 tokenization_utils_tokenizers.py, `_decode`.
 */
function asksForCleanUp(tokenizer: object, config: object): boolean {
  const model = "model" in tokenizer && isObject(tokenizer.model) ? tokenizer.model : {};
  const bytePairs = "type" in model && model.type === "BPE";
  const asked = "clean_up_tokenization_spaces" in config && config.clean_up_tokenization_spaces;
  return asked === true && !bytePairs;
}

/** Whether its decoder does so itself, as WordPiece's may. */
function cleansWords(tokenizer: object): boolean {
  const decoder = "decoder" in tokenizer && isObject(tokenizer.decoder) ? tokenizer.decoder : {};
  return "cleanup" in decoder && decoder.cleanup === true;
}

/**
 * Reads a tokenizer as transformers' Blip2Processor uses it. `imageToken` is the placeholder id, null where there is none.
 * Errors: `artifact_invalid` when the files are no tokenizer; `encode` throws `invalid_request` for a
 * text that spells the placeholder, which would be taken for a piece of the picture.
 */
export function createTokenizer(files: TokenizerFiles, imageToken: number | null): Tokenizer {
  if (!isObject(files.tokenizer) || !isObject(files.config)) {
    throw new AppError("artifact_invalid", "The tokenizer files are not JSON objects.");
  }
  let hub: HubTokenizer;
  try {
    hub = new HubTokenizer(files.tokenizer, files.config);
  } catch (cause) {
    throw new AppError("artifact_invalid", "The tokenizer files cannot be used.", { cause });
  }
  const cleansUp = asksForCleanUp(files.tokenizer, files.config);
  const decoding = { skip_special_tokens: true, clean_up_tokenization_spaces: cleansUp };
  return {
    cleansUp: cleansUp || cleansWords(files.tokenizer),
    encode(text) {
      const { ids } = hub.encode(text, { add_special_tokens: true });
      if (imageToken !== null && ids.includes(imageToken)) {
        throw new AppError(
          "invalid_request",
          "The text may not contain the model's image placeholder; leave it out.",
        );
      }
      return ids;
    },
    decode: (ids) => hub.decode([...ids], decoding).trim(),
  };
}
