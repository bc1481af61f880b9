// What a change to the scores is: in place, on one row of float32 scores, knowing the whole sequence of the
// decoder so far: for OPT prompt and image placeholders included (the reference passes them all), for T5
// the start token alone before the generated ids.
export type LogitsProcessor = (ids: readonly number[], scores: Float32Array) => void;
