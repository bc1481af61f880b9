// What an artifact is, in numbers read from its manifest and its graphs: sizes, parameters, digests. No
// weight is read.
import { readFile } from "node:fs/promises";
import type { Artifact } from "../artifact/open-artifact.ts";
import { decodeModel } from "../onnx/model-proto.ts";

export interface PartDescription {
  /** Numbers in the part's weights. */
  readonly parameters: number;
  /** The model file and the data files that it reads. */
  readonly bytes: number;
  readonly precision: string;
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

/** Parameters of the weights outside the model file, by where they stand. */
async function readGraph(path: string, signal: AbortSignal) {
  const { graph } = decodeModel(await readFile(path, { signal }));
  const weights = graph.initializer.filter(({ dataLocation }) => dataLocation === 1);
  const files = new Set<string>();
  const parameters = new Map<string, number>();
  for (const { dims, externalData = [] } of weights) {
    const { location = "", offset = "" } = Object.fromEntries(
      externalData.map(({ key, value }) => [key, value]),
    );
    files.add(location);
    const count = dims.reduce((product, dim) => product * Number(dim), 1);
    parameters.set(`${location}@${offset}`, count);
  }
  return { parameters, files: [...files] };
}

const total = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);

export async function describeArtifact(
  artifact: Artifact,
  signal: AbortSignal,
): Promise<ArtifactDescription> {
  const { folder, manifest } = artifact;
  const sizeOf = (files: readonly string[]): number =>
    files.reduce((sum, file) => sum + (manifest.files[file]?.bytes ?? 0), 0);
  const parts: Record<string, PartDescription> = {};
  const all = new Map<string, number>();
  for (const [part, { file }] of Object.entries(manifest.graphs)) {
    const graph = await readGraph(artifact.path(file), signal);
    const files = [file, ...graph.files];
    for (const [place, count] of graph.parameters) all.set(place, count);
    parts[part] = {
      parameters: total(graph.parameters),
      bytes: sizeOf(files),
      precision: manifest.precision.parts[part] ?? manifest.precision.name,
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
    parameters: total(all),
    bytes: sizeOf(Object.keys(manifest.files)),
    source_digest: manifest.source.digest,
    parts,
    files: manifest.files,
  };
}
