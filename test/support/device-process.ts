// Program of a process with a webgpu driver: a decoder's cache in miniature, grown step by step in the device's
// memory. Prints one JSON line; the same steps on the CPU are the other half of it.
import process from "node:process";
import {
  type DeviceTensor,
  openDeviceSession,
  openSession,
} from "../../gpu-node/src/runtime/ort.ts";
import { type FloatTensor, floatTensor } from "../../gpu-node/src/tensor/tensor.ts";

/** What the steps gave, and what was said when a tensor was fed that is no more. */
export interface DeviceRun {
  readonly cpu: readonly (readonly number[])[];
  readonly webgpu: readonly (readonly number[])[];
  readonly lengths: readonly (number | undefined)[];
  readonly afterDispose: string;
}

const path = process.argv[2] ?? "";
const steps = 5;
const rows = 2;
const width = 4;
/** f32 [rows, 1, width] of a step. */
const entry = (step: number): FloatTensor =>
  floatTensor(
    Float32Array.from({ length: rows * width }, (_, at) => Math.sin(step * 8 + at)),
    [rows, 1, width],
  );
const empty = floatTensor(new Float32Array(0), [rows, 0, width]);

async function onCpu(): Promise<number[][]> {
  const session = await openSession(path, { threads: 1, provider: "cpu" });
  const scores: number[][] = [];
  let cache = empty;
  for (let step = 0; step < steps; step += 1) {
    const { grown, score } = await session.run({ cache, entry: entry(step) });
    if (grown?.type !== "float32" || score?.type !== "float32")
      throw new Error("an output is missing");
    cache = grown;
    scores.push([...score.data]);
  }
  await session.release();
  return scores;
}

async function onDevice(): Promise<Omit<DeviceRun, "cpu">> {
  const session = await openDeviceSession(path, { threads: 1, provider: "webgpu" }, ["grown"]);
  const webgpu: number[][] = [];
  const lengths: (number | undefined)[] = [];
  let cache: FloatTensor | DeviceTensor = empty;
  let held: DeviceTensor | undefined;
  for (let step = 0; step < steps; step += 1) {
    const { host, device }: Awaited<ReturnType<typeof session.run>> = await session.run({
      cache,
      entry: entry(step),
    });
    held?.dispose();
    held = device["grown"];
    if (held === undefined) throw new Error("the cache did not stay on the device");
    cache = held;
    lengths.push(held.dims[1]);
    webgpu.push([...(host["score"]?.data ?? [])].map(Number));
  }
  held?.dispose();
  held?.dispose();
  const again = await session.run({ cache, entry: entry(0) }).then(
    () => "nothing",
    (error: unknown) => String(error),
  );
  await session.release();
  return { webgpu, lengths, afterDispose: again };
}

const run: DeviceRun = { cpu: await onCpu(), ...(await onDevice()) };
process.stdout.write(`${JSON.stringify(run)}\n`);
