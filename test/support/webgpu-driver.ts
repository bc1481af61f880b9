// Where the webgpu provider finds a driver on this machine, tried out in a process of its own: the surroundings
// as they are, else the software Vulkan driver that Debian's package chromium carries together with a loader.
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import { probeProvider } from "../../gpu-node/src/runtime/probe-provider.ts";

const swiftShaders = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
];

type Environment = Readonly<Record<string, string | undefined>>;

/** The first that exists; its folder has libvulkan.so.1 too, for machines that have no loader. */
function swiftShaderEnvironment(): Environment[] {
  const icd = swiftShaders.find((path) => existsSync(path));
  if (icd === undefined) return [];
  const { LD_LIBRARY_PATH: libraries, XDG_RUNTIME_DIR: runtimeDir = tmpdir() } = process.env;
  return [
    {
      ...process.env,
      VK_DRIVER_FILES: icd,
      VK_ICD_FILENAMES: icd,
      XDG_RUNTIME_DIR: runtimeDir,
      LD_LIBRARY_PATH: [libraries, dirname(icd)].filter(Boolean).join(":"),
    },
  ];
}

/** For a child process that uses webgpu, or the sentence that says why none can. */
export async function webgpuDriver(): Promise<
  { readonly env: Environment } | { readonly missing: string }
> {
  let missing = "";
  for (const env of [process.env, ...swiftShaderEnvironment()]) {
    try {
      await probeProvider("webgpu", { env, timeoutMs: 20_000 });
      return { env };
    } catch (error) {
      missing = error instanceof Error ? error.message : String(error);
    }
  }
  return { missing };
}
