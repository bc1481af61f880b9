import { expect, test } from "vitest";
import { isProviderName, openingFault, providerUnavailable, runFault } from "./providers.ts";

test("names are ours alone", () => {
  expect(isProviderName("webgpu")).toBe(true);
  expect(isProviderName("tensorrt")).toBe(false);
});

test("what is missing is said with what to do about it", () => {
  const { code, detail } = providerUnavailable("webgpu", "no graphics adapter was found");
  expect(code).toBe("usage");
  expect(detail).toMatch(/webgpu is not available here: no graphics adapter was found\. .*Vulkan/);
  expect(detail).toMatch(/--provider cpu/);
  expect(providerUnavailable("cuda", "x").detail).toMatch(
    /libonnxruntime_providers_shared\.so and libonnxruntime_providers_cuda\.so .*cuda12/,
  );
});

// Messages as onnxruntime-node 1.30 gave them.
test.each([
  [
    "webgpu_context.cc:136 adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n",
    "no graphics adapter was found",
  ],
  [
    "OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library",
    "a library of it cannot be loaded",
  ],
  ["CUDA failure 100: no CUDA-capable device is detected", "CUDA reports a failure"],
  ["Load model from x.onnx failed: Protobuf parsing failed.", undefined],
])("%s", (message, fault) => expect(openingFault(new Error(message))).toBe(fault));

test("a device without halves is told from other failures", () => {
  const missing = new Error(
    "Name:'/layer.2/crossattention/Cast_2' Status Message: Program Cast requires f16 but the device does not support it.",
  );
  expect(runFault(missing)?.detail).toMatch(
    /shader-f16.*--precision fp32, or with a recipe.*"cache": "fp32"/,
  );
  expect(runFault(new Error("Got invalid dimensions"))).toBeUndefined();
});
