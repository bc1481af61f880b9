// How many tokens one run of a decoder should make where its keys and values cross between host and device with
// every run: on cuda, whose memory the runtime's binding for Node cannot name. Arithmetic; never run on a card.

export interface DecodeRun {
  /** Positions whose keys and values are fed: they go to the device once per run. */
  readonly pastPositions: number;
  readonly rows: number;
  /** Of one position of one row, in all layers. */
  readonly positionBytes: number;
  /** Of one step in all rows, on the device. */
  readonly stepSeconds: number;
}

export interface StepLimits {
  /** Of host and device, each way. */
  readonly bytesPerSecond: number;
  /** The crossing's part of the run, at most. */
  readonly share: number;
  readonly maxSteps: number;
}

/**
 * PCIe 4.0 with 16 lanes carries 25 GB/s of pinned memory; what JavaScript holds is pageable, which halves it
 * and more. An assumption, to be measured on the card.
 */
export const assumedLimits: StepLimits = { bytesPerSecond: 6e9, share: 0.1, maxSteps: 64 };

/** f32 keys and values of one position: 2 x layers x heads x headDim x 4. */
export const positionBytes = (shape: {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
}): number => 2 * shape.layers * shape.heads * shape.headDim * 4;

/** What crosses in a run of `steps`: the past to the device, what the steps made of keys and values back. */
export const crossingBytes = (run: DecodeRun, steps: number): number =>
  run.rows * run.positionBytes * (run.pastPositions + steps);

/**
 * The fewest steps with which the crossing is no more than its share, so that others wait as little as may be;
 * `maxSteps` where none are enough.
 */
export function stepsPerRun(run: DecodeRun, limits: StepLimits = assumedLimits): number {
  const { bytesPerSecond, share, maxSteps } = limits;
  // crossing <= share * (steps * stepSeconds + crossing), which is linear in steps.
  const allowed = share / (1 - share);
  const fixed = crossingBytes(run, 0) / bytesPerSecond;
  const perStep = (run.rows * run.positionBytes) / bytesPerSecond;
  const gain = allowed * run.stepSeconds - perStep;
  if (gain <= 0) return maxSteps;
  return Math.min(maxSteps, Math.max(1, Math.ceil(fixed / gain)));
}
