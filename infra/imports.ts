// The import check: draws the house's floors and fails on an arrow that points up, on a cycle (type
// imports counted) and on a foreign package that is imported outside its one room.
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import path from "node:path";
import { parseSync } from "oxc-parser";

/** Which places may import which; a place always may import itself. First match of `files` wins. */
interface Floor {
  readonly name: string;
  readonly files: RegExp;
  readonly mayImport: readonly string[];
}

const everything = [
  "roof",
  "nano",
  "node-cli",
  "node-verify",
  "node-bench",
  "node-build",
  "node-serve",
  "node-hub",
  "node-evaluate",
  "node-hall",
  "edge",
  "mcp",
  "shared",
];

const floors: readonly Floor[] = [
  { name: "roof", files: /^(test|infra)\/|^vitest\.config\.ts$/, mayImport: everything },
  // Tests beside their sources may build an artifact in order to serve it.
  { name: "roof", files: /\.test\.ts$/, mayImport: everything },
  { name: "nano", files: /^gpu-node\/nano\//, mayImport: ["shared"] },
  {
    name: "node-cli",
    files: /^gpu-node\/src\/(cli\/|main\.ts|config\.ts)/,
    mayImport: [
      "node-verify",
      "node-bench",
      "node-evaluate",
      "node-build",
      "node-serve",
      "node-hub",
      "node-hall",
      "shared",
    ],
  },
  {
    // Holds what one wing made beside what the other runs, so it stands above both.
    name: "node-verify",
    files: /^gpu-node\/src\/verify\//,
    mayImport: ["node-build", "node-serve", "node-hall", "shared"],
  },
  {
    // Makes graphs with the tools of one wing and runs them, and models, with those of the other.
    name: "node-bench",
    files: /^gpu-node\/src\/bench\//,
    mayImport: ["node-build", "node-serve", "node-evaluate", "node-hall", "shared"],
  },
  {
    name: "node-build",
    files: /^gpu-node\/src\/(checkpoint|onnx|models|quantize|build)\//,
    mayImport: ["node-hall", "shared"],
  },
  { name: "node-hub", files: /^gpu-node\/src\/hub\//, mayImport: ["node-hall", "shared"] },
  // Measures texts and ranks; what made them is behind an interface.
  { name: "node-evaluate", files: /^gpu-node\/src\/evaluate\//, mayImport: ["shared"] },
  { name: "node-hall", files: /^gpu-node\/src\/(artifact|disk|tensor)\//, mayImport: ["shared"] },
  { name: "node-serve", files: /^gpu-node\/src\//, mayImport: ["node-hall", "shared"] },
  { name: "edge", files: /^edge\//, mayImport: ["mcp", "shared"] },
  { name: "mcp", files: /^mcp-server\//, mayImport: ["shared"] },
  { name: "shared", files: /^shared\//, mayImport: [] },
];

/** A foreign thing and the only files that may know it, so that an upgrade is one diff. */
const rooms: readonly {
  readonly what: string;
  readonly specifier: RegExp;
  readonly only: RegExp;
}[] = [
  {
    what: "onnxruntime-node",
    specifier: /^onnxruntime-node/,
    only: /^gpu-node\/src\/runtime\/ort\.ts$|\.test\.ts$/,
  },
  {
    what: "prom-client",
    specifier: /^prom-client$/,
    only: /^gpu-node\/src\/observe\/registry\.ts$/,
  },
  {
    what: "OpenTelemetry",
    specifier: /^@opentelemetry\//,
    only: /^gpu-node\/src\/observe\/tracing\.ts$|\.test\.ts$/,
  },
  { what: "sharp", specifier: /^sharp$/, only: /^gpu-node\/nano\/|\.test\.ts$|^test\// },
  {
    what: "jsquash",
    specifier: /^@jsquash\//,
    only: /^shared\/src\/image\/|^edge\/src\/images\/codecs\.ts$|^gpu-node\/src\/cli\/image-codecs\.ts$|^test\//,
  },
  {
    what: "hono",
    specifier: /^(hono|@hono\/)/,
    only: /^edge\/src\/|^gpu-node\/src\/http\/|\.test\.ts$/,
  },
  {
    what: "the MCP SDK",
    specifier: /^@modelcontextprotocol\//,
    only: /^mcp-server\/src\/|\.test\.ts$|^test\//,
  },
  {
    what: "the OAuth provider",
    specifier: /^@cloudflare\/workers-oauth-provider$/,
    only: /^edge\/src\/oauth\/cloudflare-authority\.ts$/,
  },
  {
    what: "jose",
    specifier: /^jose$/,
    only: /^edge\/src\/oauth\/access-person\.ts$|\.test\.ts$|^test\//,
  },
  { what: "miniflare and wrangler", specifier: /^(miniflare|wrangler)/, only: /^(infra|test)\// },
  {
    what: "node built-ins in code that runs anywhere",
    specifier: /^node:/,
    only: /^(gpu-node|infra|test|mcp-server)\/|\.test\.ts$|^vitest\.config\.ts$/,
  },
];

const workspaceFolders: Readonly<Record<string, string>> = {
  "@blip2-edge/shared": "shared",
  "@blip2-edge/gpu-node": "gpu-node",
  "@blip2-edge/edge": "edge",
  "@blip2-edge/mcp-server": "mcp-server",
};

/** Every specifier that a file imports or re-exports, types and literal dynamic imports included. */
function specifiersOf(file: string, source: string): string[] {
  const { module, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]?.message}`);
  const found = module.staticImports.map((entry) => entry.moduleRequest.value);
  for (const entry of module.staticExports) {
    for (const { moduleRequest } of entry.entries)
      if (moduleRequest) found.push(moduleRequest.value);
  }
  for (const entry of module.dynamicImports) {
    const text = source.slice(entry.moduleRequest.start, entry.moduleRequest.end);
    const literal = /^["']([^"']+)["']$/.exec(text)?.[1];
    if (literal !== undefined) found.push(literal);
  }
  return found;
}

/** The repository file behind a specifier, or undefined for a foreign package. */
function resolveLocal(root: string, from: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return path.posix.join(path.posix.dirname(from), specifier);
  const [scope, name, ...rest] = specifier.split("/");
  const folder = workspaceFolders[`${scope}/${name}`];
  if (folder === undefined) return undefined;
  const manifest = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8")) as {
    exports?: Record<string, string>;
  };
  const target = manifest.exports?.[`./${rest.join("/")}`];
  return target === undefined
    ? `${folder}/(not exported: ${specifier})`
    : path.posix.join(folder, target);
}

const floorOf = (file: string) => floors.find((floor) => floor.files.test(file));

function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const visit = (file: string): string[] | undefined => {
    if (state.get(file) === "done") return undefined;
    if (state.get(file) === "open") return [...trail.slice(trail.indexOf(file)), file];
    state.set(file, "open");
    trail.push(file);
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    trail.pop();
    state.set(file, "done");
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file);
    if (cycle) return cycle;
  }
  return undefined;
}

/** Prints every fault and resolves to whether there was none. */
export async function checkImports(root: string): Promise<boolean> {
  const faults: string[] = [];
  const graph = new Map<string, string[]>();
  const pattern = "{shared,mcp-server,gpu-node,edge,infra,test}/**/*.{ts,mts}";
  for await (const found of glob(pattern, {
    cwd: root,
    exclude: (name) => /node_modules|^\.|dist$/.test(name),
  })) {
    const file = found.split(path.sep).join("/");
    const floor = floorOf(file);
    if (floor === undefined) {
      faults.push(`${file} stands on no floor`);
      continue;
    }
    const edges: string[] = [];
    for (const specifier of specifiersOf(file, readFileSync(path.join(root, file), "utf8"))) {
      for (const room of rooms) {
        if (room.specifier.test(specifier) && !room.only.test(file)) {
          faults.push(`${file} imports ${specifier}: ${room.what} has its own room`);
        }
      }
      const target = resolveLocal(root, file, specifier);
      if (target === undefined) continue;
      edges.push(target);
      const targetFloor = floorOf(target);
      if (target.includes("(not exported")) faults.push(`${file}: ${target}`);
      else if (
        targetFloor !== undefined &&
        targetFloor.name !== floor.name &&
        !floor.mayImport.includes(targetFloor.name)
      ) {
        faults.push(
          `${file} (${floor.name}) imports ${target} (${targetFloor.name}): the arrow points up`,
        );
      }
    }
    graph.set(file, edges);
  }
  const cycle = findCycle(graph);
  if (cycle) faults.push(`import cycle: ${cycle.join(" -> ")}`);
  for (const fault of faults) console.error(fault);
  return faults.length === 0;
}
