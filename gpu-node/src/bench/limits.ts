// What a machine allows: the time in which the runtime's kernels alone would do a stage's work. Plain arithmetic
// over what was measured.
import { type Kernel, type KernelName, kernels, type MatrixShape } from "./kernels.ts";
import { type KernelRate, productFlops } from "./measure-kernel.ts";
import type { StageProduct, StageWork } from "./stage-work.ts";

export interface Limits {
  readonly memoryReadBytesPerSecond: number;
  readonly kernels: readonly KernelRate[];
}

export interface Allowed {
  /** By the best kernel for the width of each weight. */
  readonly seconds: number;
  /** By the kernels that the model itself uses. */
  readonly ownSeconds: number;
}

/** 0 for the same rows and shape. Rows decide most: they are what makes a product bound by memory or not. */
const distance = (rate: KernelRate, rows: number, { k, n }: MatrixShape): number =>
  4 * Math.abs(Math.log(rate.rows / rows)) +
  Math.abs(Math.log(rate.k / k)) +
  Math.abs(Math.log(rate.n / n));

/** Of one kernel, at the measured shape that is nearest. */
function secondsWith(
  limits: Limits,
  kernel: KernelName,
  product: StageProduct,
): number | undefined {
  const [nearest] = limits.kernels
    .filter((rate) => rate.kernel === kernel)
    .sort((a, b) => distance(a, product.rows, product) - distance(b, product.rows, product));
  return nearest && productFlops(product.rows, product) / (nearest.gflops * 1e9);
}

function productSeconds(limits: Limits, product: StageProduct): Allowed {
  const ownSeconds = secondsWith(limits, product.kernel, product);
  if (ownSeconds === undefined) throw new Error(`${product.kernel} was not measured`);
  const { width }: Kernel = kernels[product.kernel];
  const rivals = new Set(
    limits.kernels.filter((rate) => rate.width === width).map(({ kernel }) => kernel),
  );
  const times = [...rivals].map((kernel) => secondsWith(limits, kernel, product) ?? Infinity);
  return { seconds: Math.min(...times), ownSeconds };
}

/** No processor's last cache holds more weights than this. */
const largestCacheBytes = 512 * 2 ** 20;

/** Products by their kernels, or by memory where that takes longer to bring their weights. */
export function allowedTime(work: StageWork, limits: Limits): Allowed {
  const floatGflops = Math.max(
    ...limits.kernels.filter(({ width }) => width === 32).map(({ gflops }) => gflops),
  );
  const { flops, cacheBytes } = work.attention;
  const attention = Math.max(
    flops / (floatGflops * 1e9),
    cacheBytes / limits.memoryReadBytesPerSecond,
  );
  const allBytes = work.products.reduce((sum, { bytes }) => sum + bytes, 0);
  // A kernel is measured on weights that a large cache may hold; a stage's own come from memory every time.
  const readBytes = (bytes: number): number => (allBytes > largestCacheBytes ? bytes : 0);
  const each = work.products.map((product) => {
    const { seconds, ownSeconds } = productSeconds(limits, product);
    const readSeconds = readBytes(product.bytes) / limits.memoryReadBytesPerSecond;
    return {
      seconds: Math.max(seconds, readSeconds),
      ownSeconds: Math.max(ownSeconds, readSeconds),
    };
  });
  return {
    seconds: each.reduce((sum, { seconds }) => sum + seconds, attention),
    ownSeconds: each.reduce((sum, { ownSeconds }) => sum + ownSeconds, attention),
  };
}
