// The only import of onnxruntime-node. Opens a graph file as a session that takes and gives the house's
// own tensors. A run is synchronous native code: it blocks the thread that calls it, so a process that
// answers HTTP must not call it.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { AppError } from "@blip2-edge/shared/problem";
import ort from "onnxruntime-node";
import type { InnerTensor, Tensor } from "../tensor/tensor.ts";
import type { Placement } from "./placement.ts";
import { createFirstRun, type FirstRun } from "./first-run.ts";
import {
  cudaLibraries,
  openingFault,
  type ProviderName,
  providerUnavailable,
  runFault,
} from "./providers.ts";

// The runtime writes an id of the machine and events of its sessions into the user's cache and sends them to its
// maker over HTTPS, unless this is set before the first session (docs/decisions/0185).
process.env["ORT_DISABLE_TELEMETRY"] ??= "1";

export interface SessionOptions {
  /** Threads of one operator; 0 lets the runtime take the physical cores. */
  readonly threads: number;
  /** Operators that it has no kernel for run on the CPU: see `onPlacement`. */
  readonly provider: ProviderName;
  /** Hears once, after the first run, which operators ran where. That run is slower for it. */
  readonly onPlacement?: (placement: Placement) => void;
}

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Feeds every input by name; gives every output by name. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  release(): Promise<void>;
}

/** Errors and warnings of the runtime that matter, on standard error; 2 is the runtime's "warning". */
const logSeverity = 3;

/** Folder of the runtime's binding, where libraries of further providers must lie. */
export const bindingFolder = (): string => {
  const main = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  return join(dirname(main), "bin/napi-v6", platform(), arch());
};

/** Errors: `usage` for a provider whose code is not here; its driver is not looked at. */
export function checkProvider(provider: ProviderName): void {
  const known: readonly string[] = ort
    .listSupportedBackends()
    .map((backend: { readonly name: string }) => backend.name);
  if (!known.includes(provider)) {
    throw providerUnavailable(
      provider,
      `onnxruntime-node has ${known.join(", ")} for ${platform()} ${arch()}`,
    );
  }
  // Looked for beforehand: the runtime would write a line of its own to the log for each.
  const missing = cudaLibraries.filter((file) => !existsSync(join(bindingFolder(), file)));
  if (provider === "cuda" && missing.length > 0) {
    throw providerUnavailable(provider, `${missing.join(" and ")} cannot be found`, {
      internal: bindingFolder(),
    });
  }
}

/** What the binding lets us say of each; of cuda it takes the card's number alone. */
const providerOptions: Readonly<
  Record<ProviderName, ort.InferenceSession.ExecutionProviderConfig>
> = {
  cpu: "cpu",
  webgpu: "webgpu",
  cuda: { name: "cuda", deviceId: 0 },
};

/**
 * Opens one graph; external data is found beside the file.
 * Errors: `usage` for a provider that this machine or build lacks, `artifact_invalid` for a graph that
 * the runtime refuses.
 */
export async function openSession(path: string, options: SessionOptions): Promise<Session> {
  const firstRun = options.onPlacement && (await createFirstRun(options.provider));
  const session = await createSession(path, options, path, firstRun?.settings).catch(
    async (error: unknown) => {
      await firstRun?.discard();
      throw error;
    },
  );
  let profile: FirstRun | undefined = firstRun;
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds) {
      const results = await runSession(session, runtimeTensors(feeds));
      if (profile !== undefined) {
        session.endProfiling();
        const read = profile;
        profile = undefined;
        options.onPlacement?.(await read.placement());
      }
      const outputs: Record<string, Tensor> = {};
      for (const name of session.outputNames) {
        const tensor = innerTensor(name, results[name]);
        if (tensor.type === "bool") {
          throw new AppError("artifact_invalid", `The graph's output ${name} is ${tensor.type}.`);
        }
        outputs[name] = tensor;
      }
      return outputs;
    },
    async release() {
      if (profile !== undefined) session.endProfiling();
      await session.release();
      await profile?.discard();
    },
  };
}

/** Errors: `usage` for what the device cannot do, else the runtime's own. */
async function runSession(
  session: ort.InferenceSession,
  feeds: Readonly<Record<string, ort.Tensor>>,
): Promise<ort.InferenceSession.ReturnType> {
  try {
    return await session.run(feeds);
  } catch (cause) {
    throw runFault(cause) ?? cause;
  }
}

/**
 * A tensor that stays in the device's memory from run to run. Nothing reads it back: the binding's
 * download ends the process (1.30).
 */
export interface DeviceTensor {
  readonly location: "device";
  readonly dims: readonly number[];
  /** Gives its memory back; a second time does nothing. The release of a session does not do it. */
  dispose(): void;
}

export interface DeviceOutputs {
  readonly host: Readonly<Record<string, InnerTensor>>;
  /** To be disposed by the caller. */
  readonly device: Readonly<Record<string, DeviceTensor>>;
}

/** A session some of whose outputs stay on its device, to be fed to it or another session of the device. */
export interface DeviceSession {
  run(feeds: Readonly<Record<string, Tensor | DeviceTensor>>): Promise<DeviceOutputs>;
  release(): Promise<void>;
}

/** The runtime's tensor of each that is not disposed. Never fed to a session that computes elsewhere: that one would read an address of the device as its own memory. */
const onDevice = new WeakMap<DeviceTensor, ort.Tensor>();

/**
 * As `openSession`; the outputs `kept` stay on the device. Errors: further `usage` for a provider with
 * which the binding can keep nothing: it binds buffers of webgpu alone.
 */
export async function openDeviceSession(
  path: string,
  options: SessionOptions,
  kept: readonly string[],
): Promise<DeviceSession> {
  if (options.provider !== "webgpu") {
    throw new AppError(
      "usage",
      `The provider ${options.provider} cannot keep a graph's outputs on its device; webgpu can.`,
    );
  }
  const session = await createSession(path, options, path, {
    preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, "gpu-buffer"])),
  });
  return {
    async run(feeds) {
      const results = await runSession(
        session,
        Object.fromEntries(
          Object.entries(feeds).map(([name, tensor]) => [name, deviceFeed(name, tensor)]),
        ),
      );
      const host: Record<string, InnerTensor> = {};
      const device: Record<string, DeviceTensor> = {};
      for (const name of session.outputNames) {
        const result = results[name];
        if (result?.location === "gpu-buffer") device[name] = deviceTensor(result);
        else host[name] = innerTensor(name, result);
      }
      return { host, device };
    },
    release: () => session.release(),
  };
}

function deviceTensor(tensor: ort.Tensor): DeviceTensor {
  const made: DeviceTensor = {
    location: "device",
    dims: tensor.dims,
    dispose() {
      if (onDevice.delete(made)) tensor.dispose();
    },
  };
  onDevice.set(made, tensor);
  return made;
}

function deviceFeed(name: string, tensor: Tensor | DeviceTensor): ort.Tensor {
  if (!("location" in tensor)) return runtimeTensor(tensor);
  const held = onDevice.get(tensor);
  if (held === undefined) throw new Error(`the tensor fed as ${name} is disposed`);
  return held;
}

/** ONNX: `y = Add(x, x)`, f32 [1] each; ort.test.ts makes it again. */
export const addModel = Buffer.from(
  "CAoSADo1Cg4KAXgKAXgSAXkiA0FkZBIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBU=",
  "base64",
);

/**
 * 1 + 1 by the provider itself. Errors: the runtime's own. May hang or end the process where a driver is
 * bad: only probe-process.ts calls it.
 */
export async function addOn(provider: ProviderName): Promise<number> {
  const session = await ort.InferenceSession.create(addModel, {
    executionProviders: [providerOptions[provider]],
    logSeverityLevel: logSeverity,
    // Without this a provider that takes no node would look like one that works.
    ...(provider === "cpu" ? {} : { extra: { session: { disable_cpu_ep_fallback: "1" } } }),
  });
  const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.of(1), [1]) });
  return Number(y?.data[0]);
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
      const results = await runSession(session, runtimeTensors(feeds));
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
  checkProvider(options.provider);
  const settings: ort.InferenceSession.SessionOptions = {
    executionProviders: [providerOptions[options.provider]],
    graphOptimizationLevel: "all",
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    // A plan of the memory is kept for every shape that came, and shapes of a batch change all the time.
    enableMemPattern: false,
    logSeverityLevel: logSeverity,
    ...more,
  };
  try {
    return await (typeof model === "string"
      ? ort.InferenceSession.create(model, settings)
      : ort.InferenceSession.create(model, settings));
  } catch (cause) {
    const fault = openingFault(cause);
    if (fault !== undefined) {
      const internal = cause instanceof Error ? cause.message.trim() : String(cause);
      throw providerUnavailable(options.provider, fault, { internal, cause });
    }
    throw new AppError("artifact_invalid", "The runtime cannot load a graph of the artifact.", {
      internal: place,
      cause,
    });
  }
}

/** Of the runtime, for reports. */
export const runtimeVersion = (): string => `onnxruntime ${ort.env.versions.common}`;
