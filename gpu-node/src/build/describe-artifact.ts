// What an artifact is, in numbers read from its manifest and its graphs: sizes, parameters, digests. No
// weight is read.
import { readFile } from "node:fs/promises";
import type { Artifact } from "../artifact/open-artifact.ts";
import type { Precision } from "../artifact/precision.ts";
import { parametersKey, sharedParametersKey } from "../onnx/model.ts";
import { decodeModel } from "../onnx/model-proto.ts";

export interface PartDescription {
  /** Numbers in the part's weights. */
  readonly parameters: number;
  /** The model file and the data files that it reads. */
  readonly bytes: number;
  readonly precision: Precision["parts"][string];
  /** Of its weights, scales and zero points counted. */
  readonly bits_per_weight: number;
  /** Digest of the part's tensors in the source checkpoint. */
  readonly source_digest: string;
  readonly files: readonly string[];
}

export interface ArtifactDescription {
  readonly artifact: string;
  readonly name: string;
  readonly model_revision: string;
  readonly format: number;
  readonly family: string;
  readonly precision: string;
  readonly image_size: number;
  readonly queries: number;
  /** Positions of a text; image tokens count where they stand before it. */
  readonly context: number;
  readonly vocab: number;
  /** Of a retrieval model: of the space in which pictures and texts are compared. */
  readonly dim?: number;
  /** Numbers in all weights; those that several parts read count once. */
  readonly parameters: number;
  readonly bytes: number;
  readonly source_digest: string;
  readonly parts: Readonly<Record<string, PartDescription>>;
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly bytes: number }>>;
}

/** What the graph says of its weights: their number, the files they stand in, the bytes they take there. */
async function readGraph(path: string, signal: AbortSignal) {
  const { graph, metadataProps = [] } = decodeModel(await readFile(path, { signal }));
  const weights = graph.initializer.filter(({ dataLocation }) => dataLocation === 1);
  const spans = new Map<string, { readonly bytes: number; readonly numbers: number }>();
  const files = new Set<string>();
  for (const { dims, externalData = [] } of weights) {
    const {
      location = "",
      offset,
      length,
    } = Object.fromEntries(externalData.map(({ key, value }) => [key, value]));
    files.add(location);
    // Two initializers may read the same bytes.
    const numbers = dims.reduce((product, dim) => product * Number(dim), 1);
    spans.set(`${location}@${offset}`, { bytes: Number(length), numbers });
  }
  const sum = (of: "bytes" | "numbers") =>
    [...spans.values()].reduce((total, span) => total + span[of], 0);
  const stated = (name: string): number | undefined => {
    const found = metadataProps.find(({ key }) => key === name)?.value;
    return found === undefined ? undefined : Number(found);
  };
  return {
    // A graph that does not say it was built before any weights were coded: they are its numbers.
    parameters: stated(parametersKey) ?? sum("numbers"),
    sharedParameters: stated(sharedParametersKey) ?? 0,
    weightBytes: sum("bytes"),
    files: [...files],
  };
}

export async function describeArtifact(
  artifact: Artifact,
  signal: AbortSignal,
): Promise<ArtifactDescription> {
  const { folder, manifest } = artifact;
  const sizeOf = (files: readonly string[]): number =>
    files.reduce((sum, file) => sum + (manifest.files[file]?.bytes ?? 0), 0);
  const parts: Record<string, PartDescription> = {};
  let parameters = 0;
  for (const [part, { file }] of Object.entries(manifest.graphs)) {
    const graph = await readGraph(artifact.path(file), signal);
    const files = [file, ...graph.files];
    parameters += graph.parameters - graph.sharedParameters;
    parts[part] = {
      parameters: graph.parameters,
      bytes: sizeOf(files),
      precision: manifest.precision.parts[part] ?? "fp32",
      bits_per_weight: Math.round((800 * graph.weightBytes) / graph.parameters) / 100,
      source_digest: manifest.source.parts[part] ?? "",
      files,
    };
  }
  return {
    artifact: folder,
    name: manifest.name,
    model_revision: manifest.model_revision,
    format: manifest.format,
    family: manifest.family,
    precision: manifest.precision.name,
    image_size: manifest.image.size,
    queries: manifest.qformer.queries,
    ...(manifest.family === "retrieval"
      ? manifest.text
      : { context: manifest.decoder.context, vocab: manifest.decoder.vocab }),
    parameters,
    bytes: sizeOf(Object.keys(manifest.files)),
    source_digest: manifest.source.digest,
    parts,
    files: manifest.files,
  };
}
