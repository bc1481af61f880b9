// An artifact folder, opened: sessions, tokenizer and pixel values of one model behind one object, whose
// kind the manifest's family decides. Used in process by the command line and by the engine process.
import { AppError } from "@blip2-edge/shared/problem";
import { readFile } from "node:fs/promises";
import { readCalibration } from "../artifact/calibration-file.ts";
import { type Artifact, openArtifact } from "../artifact/open-artifact.ts";
import type { Manifest } from "../artifact/manifest.ts";
import { createGenerationModel, type GenerationModel } from "./generation-model.ts";
import type { GraphOf } from "./model-parts.ts";
import { openGraph } from "./open-graph.ts";
import { checkProvider, type Session, type SessionOptions } from "./ort.ts";
import type { Placement } from "./placement.ts";
import { probeProvider } from "./probe-provider.ts";
import type { ProviderName } from "./providers.ts";
import { createRetrievalModel, type RetrievalModel } from "./retrieval-model.ts";
import { createSight } from "./sight.ts";
import { createVisionTowers, type VisionTower, type VisionTowers } from "./vision-tower.ts";

export interface LoadOptions {
  /** Threads of one operator; 0 (the default) takes the physical cores. */
  readonly threads?: number;
  /** Default `cpu`. Another one is tried out first, in a process of its own. */
  readonly provider?: ProviderName;
  /** Hears of each graph, after its first run, which of its operators ran where. */
  readonly onPlacement?: (graph: string, placement: Placement) => void;
  readonly signal?: AbortSignal;
}

export type Model = GenerationModel | RetrievalModel;

/**
 * Errors: `artifact_invalid` for a folder, graph or tokenizer that cannot be used; `usage` for a
 * provider that is not available.
 */
export async function loadModel(artifactDir: string, options: LoadOptions = {}): Promise<Model> {
  await tryProvider(options);
  return load(await openArtifact(artifactDir), options, createVisionTowers());
}

/** Before anything is read: a provider that cannot be had is known in a second, not after a long load. */
async function tryProvider({ provider = "cpu", signal }: LoadOptions): Promise<void> {
  checkProvider(provider);
  if (provider !== "cpu") await probeProvider(provider, signal === undefined ? {} : { signal });
}

/** Several models of one process; those with the same vision tower have one session of it. */
export async function loadModels(
  artifactDirs: readonly string[],
  options: LoadOptions = {},
): Promise<readonly Model[]> {
  await tryProvider(options);
  const towers = createVisionTowers();
  const models: Model[] = [];
  try {
    for (const dir of artifactDirs) {
      models.push(await load(await openArtifact(dir), options, towers));
    }
    return models;
  } catch (error) {
    await Promise.all(models.map((model) => model.close()));
    throw error;
  }
}

/** A model that captions and answers. Errors: as `loadModel`; `usage` for one that compares. */
export async function loadGenerationModel(
  artifactDir: string,
  options: LoadOptions = {},
): Promise<GenerationModel> {
  const artifact = await openArtifact(artifactDir);
  const { name, family } = artifact.manifest;
  if (family === "retrieval") {
    throw new AppError(
      "usage",
      `${artifactDir} holds ${name}, a retrieval model, which compares pictures with texts (match, embed) and writes nothing. A model of the family opt or t5 captions and answers.`,
    );
  }
  await tryProvider(options);
  const model = await load(artifact, options, createVisionTowers());
  if (model.kind !== "generation") throw new Error(`${name} is of another kind than ${family}`);
  return model;
}

/** A model that compares. Errors: as `loadModel`; `usage` for one that captions and answers. */
export async function loadRetrievalModel(
  artifactDir: string,
  options: LoadOptions = {},
): Promise<RetrievalModel> {
  const artifact = await openArtifact(artifactDir);
  const { name, family } = artifact.manifest;
  if (family !== "retrieval") {
    throw new AppError(
      "usage",
      `${artifactDir} holds ${name} of the family ${family}, which captions and answers (caption, ask). A retrieval model (of a Blip2ForImageTextRetrieval checkpoint) compares pictures with texts.`,
    );
  }
  await tryProvider(options);
  const model = await load(artifact, options, createVisionTowers());
  if (model.kind !== "retrieval") throw new Error(`${name} is of another kind than ${family}`);
  return model;
}

/**
 * Graphs by the bytes of their weights. While the runtime lays weights out for its kernels it holds those of a graph
 * twice: what is loaded first does so beside nothing else.
 */
function largestFirst({ graphs, files }: Manifest): readonly string[] {
  const bytes = ({ file }: { readonly file: string }): number =>
    files[file.replace(/\.onnx$/, ".data")]?.bytes ?? 0;
  return Object.entries(graphs)
    .toSorted(([, one], [, other]) => bytes(other) - bytes(one))
    .map(([part]) => part);
}

async function load(
  artifact: Artifact,
  options: LoadOptions,
  towers: VisionTowers,
): Promise<Model> {
  const { threads = 0, provider = "cpu", onPlacement, signal } = options;
  const { manifest } = artifact;
  const json = async (file: string): Promise<unknown> => {
    try {
      return JSON.parse(await readFile(artifact.path(file), { encoding: "utf8", signal }));
    } catch (cause) {
      signal?.throwIfAborted();
      throw new AppError("artifact_invalid", `The artifact's ${file} cannot be read.`, { cause });
    }
  };
  const calibration = await readCalibration(artifact.folder, manifest);
  const tokenizerFiles = {
    tokenizer: await json(manifest.tokenizer.tokenizer),
    config: await json(manifest.tokenizer.config),
  };

  const opened: (Session | VisionTower)[] = [];
  const keep = <T extends Session | VisionTower>(each: T): T => {
    opened.push(each);
    return each;
  };
  const settings = (part: string): SessionOptions => ({
    threads,
    provider,
    ...(onPlacement === undefined
      ? {}
      : { onPlacement: (placement: Placement) => onPlacement(part, placement) }),
  });
  const close = async (): Promise<void> => {
    await Promise.all(opened.splice(0).map((each) => each.release()));
  };
  try {
    const sessions = new Map<string, Session>();
    let tower: VisionTower | undefined;
    for (const part of largestFirst(manifest)) {
      signal?.throwIfAborted();
      if (part === "vision") tower = keep(await towers.open(artifact, settings(part)));
      else sessions.set(part, keep(await openGraph(artifact, part, settings(part))));
    }
    const graph: GraphOf = (part) => {
      const session = sessions.get(part);
      if (session === undefined) throw new Error(`${manifest.name} has no graph ${part}`);
      return session;
    };
    if (tower === undefined) throw new Error(`${manifest.name} has no vision tower`);
    const parts = { tokenizerFiles, sight: createSight(tower, graph("qformer")), graph, close };
    return manifest.family === "retrieval"
      ? { ...(await createRetrievalModel(manifest, parts)), calibration }
      : await createGenerationModel(manifest, parts);
  } catch (error) {
    await close();
    throw error;
  }
}
