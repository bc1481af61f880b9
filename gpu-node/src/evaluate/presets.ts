// Settings of published evaluations by name (LAVIS's files of the paper's release; docs/decisions/0058 says
// where they come from). What a flag sets goes first; the report prints what was in force.
import type { GenerationRequest } from "@blip2-edge/shared/contracts/generation";

export type Family = "opt" | "t5";

export interface Preset {
  /** Null is the plain caption. */
  readonly prompt: string | null;
  /** Null is the artifact's own. */
  readonly template: string | null;
  /** How questions and the texts of retrieval reach the model. */
  readonly text: "lavis" | "as it stands";
  /** Tokens of a text that retrieval reads; null is as many as the model can. */
  readonly maxTextTokens: number | null;
  readonly kTest: number;
  readonly generation: Readonly<Record<Family, GenerationRequest>>;
}

const plain: Preset = {
  prompt: null,
  template: null,
  text: "as it stands",
  maxTextTokens: null,
  kTest: 128,
  generation: { opt: {}, t5: {} },
};

/** LAVIS counts new tokens for OPT, and for T5 the minimum with the start token. */
const beams = (max: number, min: number): Preset["generation"] => ({
  opt: { num_beams: 5, max_new_tokens: max, min_new_tokens: min },
  t5: { num_beams: 5, max_new_tokens: max, min_length: min },
});

export const presets = {
  /** The model's own manners: greedy, 20 new tokens, texts untouched. */
  plain,
  "coco-captions": { ...plain, prompt: "a photo of", generation: beams(30, 8) },
  nocaps: { ...plain, generation: beams(80, 10) },
  vqa: {
    ...plain,
    template: "Question: {} Short answer:",
    text: "lavis",
    generation: {
      opt: { ...beams(10, 1).opt, length_penalty: 0 },
      t5: { ...beams(10, 1).t5, length_penalty: -1 },
    },
  },
  retrieval: { ...plain, text: "lavis", maxTextTokens: 35, kTest: 128 },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as PresetName[];
export const isPresetName = (name: string): name is PresetName => Object.hasOwn(presets, name);
