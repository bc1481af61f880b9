// What a change to the scores is: in place, on one row of float32 scores, knowing the whole sequence so
// far, prompt and image placeholders included (for OPT the reference passes them all).
export type LogitsProcessor = (ids: readonly number[], scores: Float32Array) => void;
