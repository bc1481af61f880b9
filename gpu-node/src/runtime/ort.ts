// The only import of onnxruntime-node. Opens a graph file as a session that takes and gives the house's
// own tensors. A run is synchronous native code: it blocks the thread that calls it, so a process that
// answers HTTP must not call it.
import { AppError } from "@blip2-edge/shared/problem";
import ort from "onnxruntime-node";
import type { FloatTensor, InnerTensor, Tensor } from "../tensor/tensor.ts";

export interface SessionOptions {
  /** Threads of one operator; 0 lets the runtime take the physical cores. */
  readonly threads: number;
  /** Execution provider by the runtime's name; only `cpu` is claimed to work. */
  readonly provider: string;
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
  const session = await createSession(path, options, path);
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds) {
      const results = await session.run(runtimeTensors(feeds));
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

/** A piece of a graph: tensors of every type that passes between two of them go in and come out. */
export interface PieceSession {
  run(feeds: Readonly<Record<string, InnerTensor>>): Promise<Readonly<Record<string, InnerTensor>>>;
  release(): Promise<void>;
}

/**
 * As `openSession`, for the bytes of a model whose external data lies in `dataFolder`.
 * Errors: `artifact_invalid` for a model that the runtime refuses or an output of a type not listed.
 */
export async function openPiece(
  model: Uint8Array,
  dataFolder: string,
  options: SessionOptions,
): Promise<PieceSession> {
  const session = await createSession(model, options, `a piece of a graph in ${dataFolder}`, {
    extra: { session: { model_external_initializers_file_folder_path: dataFolder } },
  });
  return {
    async run(feeds) {
      const results = await session.run(runtimeTensors(feeds));
      return Object.fromEntries(
        session.outputNames.map((name) => [name, innerTensor(name, results[name])]),
      );
    },
    release: () => session.release(),
  };
}

function runtimeTensors(
  feeds: Readonly<Record<string, InnerTensor>>,
): Readonly<Record<string, ort.Tensor>> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => [name, runtimeTensor(tensor)]),
  );
}

function runtimeTensor(tensor: InnerTensor): ort.Tensor {
  const { type, dims } = tensor;
  if (type !== "float16") return new ort.Tensor(type, tensor.data, dims);
  const { buffer, byteOffset, length } = tensor.data;
  const bits = new Uint16Array(buffer, byteOffset, length);
  const made = new ort.Tensor(type, bits, dims);
  // The binding, which reads `data`, believes a Float16Array to be empty: microsoft/onnxruntime pull 32323.
  return Object.defineProperty(made, "data", { value: bits });
}

function innerTensor(name: string, tensor: ort.Tensor | undefined): InnerTensor {
  const { type, dims = [], data } = tensor ?? {};
  if (type === "float32" && data instanceof Float32Array) return { type, dims, data };
  if (type === "float16" && data instanceof Float16Array) return { type, dims, data };
  if (type === "int64" && data instanceof BigInt64Array) return { type, dims, data };
  if (type === "bool" && data instanceof Uint8Array) return { type, dims, data };
  throw new AppError("artifact_invalid", `The value ${name} of a graph is of the type ${type}.`);
}

/** `place`: what the model is, for the log. */
async function createSession(
  model: string | Uint8Array,
  options: SessionOptions,
  place: string,
  more: ort.InferenceSession.SessionOptions = {},
): Promise<ort.InferenceSession> {
  const providers = availableProviders();
  if (!providers.includes(options.provider)) {
    throw new AppError(
      "usage",
      `The execution provider "${options.provider}" is not available here; available: ${providers.join(", ")}.`,
    );
  }
  const settings: ort.InferenceSession.SessionOptions = {
    executionProviders: [options.provider],
    graphOptimizationLevel: "all",
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    logSeverityLevel: logSeverity,
    ...more,
  };
  try {
    return await (typeof model === "string"
      ? ort.InferenceSession.create(model, settings)
      : ort.InferenceSession.create(model, settings));
  } catch (cause) {
    throw new AppError("artifact_invalid", "The runtime cannot load a graph of the artifact.", {
      internal: place,
      cause,
    });
  }
}

/** Of the runtime, for reports. */
export const runtimeVersion = (): string => `onnxruntime ${ort.env.versions.common}`;
