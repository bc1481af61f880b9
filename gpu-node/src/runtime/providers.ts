// The execution providers that a node can be told to use, and what to do about one that cannot be had.
// Plain data and sentences; ort.ts asks the runtime.
import { AppError } from "@blip2-edge/shared/problem";

/** Names as ONNX Runtime's. What was run of each stands in docs/providers.md. */
export const providerNames = ["cpu", "webgpu", "cuda"] as const;
export type ProviderName = (typeof providerNames)[number];

export const isProviderName = (name: string): name is ProviderName =>
  (providerNames as readonly string[]).includes(name);

/** What a provider's own kernels are called in the runtime's reports. */
export const runtimeNames: Readonly<Record<ProviderName, string>> = {
  cpu: "CPUExecutionProvider",
  webgpu: "WebGpuExecutionProvider",
  cuda: "CUDAExecutionProvider",
};

/** Besides the driver: what onnxruntime-node's package leaves out, because it is too large for the registry. */
export const cudaLibraries = [
  "libonnxruntime_providers_shared.so",
  "libonnxruntime_providers_cuda.so",
] as const;

const remedies: Readonly<Record<ProviderName, string>> = {
  cpu: "The package onnxruntime-node is damaged; install it again.",
  webgpu:
    "It needs a graphics driver: on Linux the Vulkan loader (libvulkan.so.1, Debian's libvulkan1) and the card's Vulkan driver, which VK_DRIVER_FILES may name by its JSON file; `vulkaninfo --summary` lists what is found. Or choose --provider cpu.",
  cuda: `It needs Linux x64, an NVIDIA driver, CUDA 12 and cuDNN 9 where the loader finds them, and ${cudaLibraries.join(" and ")} beside onnxruntime-node's binding, which \`node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12\` downloads. Or choose --provider webgpu or cpu.`,
};

/** `why` ends the sentence "The execution provider webgpu is not available here: ". */
export const providerUnavailable = (
  provider: ProviderName,
  why: string,
  more: { readonly internal?: string; readonly cause?: unknown } = {},
): AppError =>
  new AppError(
    "usage",
    `The execution provider ${provider} is not available here: ${why}. ${remedies[provider]}`,
    more,
  );

/**
 * What a failure to open a session says about the provider, as `why` of providerUnavailable; undefined when
 * it is about the graph. The runtime has no codes for these, so its words are read (1.30).
 */
export function openingFault(cause: unknown): string | undefined {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/Failed to get a WebGPU adapter/.test(message)) return "no graphics adapter was found";
  if (/Failed to (get|create) a WebGPU device/.test(message)) {
    return "the graphics adapter gives no device";
  }
  if (/Failed to load (shared )?library/.test(message)) return "a library of it cannot be loaded";
  if (/CUDA failure \d+/.test(message)) return "CUDA reports a failure";
  return undefined;
}

/** What a failed run says of the device; undefined when it is about something else. */
export function runFault(cause: unknown): AppError | undefined {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/requires f16 but the device does not support it/.test(message)) {
    return new AppError(
      "usage",
      'This graphics adapter has no 16-bit floats (WebGPU\'s shader-f16), which this artifact needs: below fp32 keys and values are kept in halves. Build the model with --precision fp32, or with a recipe whose decoder has "cache": "fp32", or run this one with --provider cpu.',
      { internal: message.trim(), cause },
    );
  }
  return undefined;
}
