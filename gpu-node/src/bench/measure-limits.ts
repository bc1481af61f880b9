// The machine's limits for one model: the runtime's kernels at the largest matrices of every stage, for as many rows
// as the stage will be measured with, and the memory.
import type { SessionOptions } from "../runtime/ort.ts";
import type { Repeats } from "./best-of.ts";
import { type KernelName, kernels, type MatrixShape } from "./kernels.ts";
import { standardKernels } from "./limiting-kernels.ts";
import type { Limits } from "./limits.ts";
import { type KernelRate, measureKernel } from "./measure-kernel.ts";
import { measureMemory } from "./measure-memory.ts";
import { type ModelWork, type Stage, stageWork, type StageWork } from "./stage-work.ts";

export interface LimitsSettings extends SessionOptions, Repeats {
  /** Several times the last cache of the machine. */
  readonly coldBytes: number;
  /** Batch sizes to measure for. */
  readonly sizes: Readonly<Record<Stage, readonly number[]>>;
  readonly textTokens: number;
  readonly say: (line: string) => void;
}

/** More work than this in one run of a measurement gains nothing. */
const maxFlops = 8e9;

interface Point {
  readonly kernel: KernelName;
  readonly rows: number;
  readonly shape: MatrixShape;
}

/** The largest matrices that widen and that narrow, and how many rows most of the stage's products have. */
function typicalProducts(work: StageWork, vocab: number): readonly Omit<Point, "kernel">[] {
  const inner = work.products.filter(({ n, op }) => n !== vocab && op !== "Conv");
  const sorted = inner.toSorted((a, b) => b.k * b.n - a.k * a.n);
  const found = [sorted.find(({ k, n }) => n >= k), sorted.find(({ k, n }) => n < k)];
  return found.flatMap((product) =>
    product === undefined ? [] : [{ rows: product.rows, shape: { k: product.k, n: product.n } }],
  );
}

/** The Q-Former is a thirtieth of a model: only what bounds it is measured. */
function kernelsFor(stage: Stage, work: StageWork): readonly KernelName[] {
  const own = new Set(work.products.map(({ kernel }) => kernel));
  const widths = new Set([...own].map((kernel) => kernels[kernel].width));
  const standard = standardKernels.filter(
    (kernel) => stage !== "qformer" || widths.has(kernels[kernel].width),
  );
  return [...new Set([...standard, ...own])];
}

export function limitPoints(
  model: ModelWork,
  { sizes, textTokens }: Pick<LimitsSettings, "sizes" | "textTokens">,
): readonly Point[] {
  const points = new Map<string, Point>();
  for (const [stage, batches] of Object.entries(sizes) as [Stage, readonly number[]][]) {
    for (const batch of batches) {
      const work = stageWork(model, stage, { batch, textTokens, made: 0 });
      for (const product of typicalProducts(work, model.shape.decoder.vocab)) {
        for (const kernel of kernelsFor(stage, work)) {
          const { rows, shape } = product;
          points.set(`${kernel} ${rows} ${shape.k} ${shape.n}`, { kernel, ...product });
        }
      }
    }
  }
  return [...points.values()];
}

/** Errors: those of measureKernel. */
export async function measureLimits(model: ModelWork, settings: LimitsSettings): Promise<Limits> {
  const { say, coldBytes } = settings;
  say("measuring the memory");
  const memoryReadBytesPerSecond = await measureMemory({ ...settings, bytes: coldBytes });
  const rates: KernelRate[] = [];
  const points = limitPoints(model, settings);
  for (const [at, { kernel, rows, shape }] of points.entries()) {
    say(`measuring ${kernel} at ${rows} x ${shape.k} x ${shape.n} (${at + 1} of ${points.length})`);
    rates.push(await measureKernel(kernel, rows, shape, { ...settings, maxFlops }));
  }
  return { memoryReadBytesPerSecond, kernels: rates };
}
