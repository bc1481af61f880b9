// The only import of onnxruntime-node. Opens a graph file as a session that takes and gives the house's
// own tensors. A run is synchronous native code: it blocks the thread that calls it, so a process that
// answers HTTP must not call it.
import { AppError } from "@blip2-edge/shared/problem";
import ort from "onnxruntime-node";
import type { FloatTensor, Tensor } from "../tensor/tensor.ts";

export interface SessionOptions {
  /** Threads of one operator; 0 lets the runtime take the physical cores. */
  readonly threads: number;
  /** Execution provider by the runtime's name; only `cpu` is claimed to work. */
  readonly provider: string;
  /**
   * The graph holds half-precision weights. The CPU provider has no half-precision products: at its highest
   * level of optimisation it makes float32 weights when it loads, twice the memory that the recipe promised.
   * One level lower it widens a weight whenever it is used, in one buffer for all of them.
   */
  readonly halfWeights?: boolean;
}

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Feeds every input by name; gives every output by name. All outputs are float32. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, FloatTensor>>>;
  release(): Promise<void>;
}

/** Errors and warnings of the runtime that matter, on standard error; 2 is the runtime's "warning". */
const logSeverity = 3;

const availableProviders = (): string[] =>
  ort.listSupportedBackends().map((backend: { name: string }) => backend.name);

/**
 * Opens one graph; external data is found beside the file.
 * Errors: `usage` for a provider that this machine or build lacks, `artifact_invalid` for a graph that
 * the runtime refuses.
 */
export async function openSession(path: string, options: SessionOptions): Promise<Session> {
  const providers = availableProviders();
  if (!providers.includes(options.provider)) {
    throw new AppError(
      "usage",
      `The execution provider "${options.provider}" is not available here; available: ${providers.join(", ")}.`,
    );
  }
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(path, {
      executionProviders: [options.provider],
      graphOptimizationLevel: options.halfWeights === true ? "extended" : "all",
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      logSeverityLevel: logSeverity,
    });
  } catch (cause) {
    throw new AppError("artifact_invalid", "The runtime cannot load a graph of the artifact.", {
      internal: path,
      cause,
    });
  }
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds) {
      const inputs: Record<string, ort.Tensor> = {};
      for (const [name, tensor] of Object.entries(feeds)) {
        inputs[name] = new ort.Tensor(tensor.type, tensor.data, tensor.dims);
      }
      const results = await session.run(inputs);
      const outputs: Record<string, FloatTensor> = {};
      for (const name of session.outputNames) {
        const result = results[name];
        if (result?.type !== "float32" || !(result.data instanceof Float32Array)) {
          throw new AppError("artifact_invalid", `The graph's output ${name} is not float32.`);
        }
        outputs[name] = { type: "float32", dims: result.dims, data: result.data };
      }
      return outputs;
    },
    release: () => session.release(),
  };
}
