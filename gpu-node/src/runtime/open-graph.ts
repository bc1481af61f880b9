// One graph of an artifact as a session, opened as its precision asks.
import type { Artifact } from "../artifact/open-artifact.ts";
import { usesHalves } from "../artifact/precision.ts";
import { openSession, type Session, type SessionOptions } from "./ort.ts";

export type RunOptions = Pick<SessionOptions, "threads" | "provider">;

/** `part` is a graph's name in the manifest. Errors: those of openSession. */
export function openGraph(
  { manifest, path }: Artifact,
  part: string,
  options: RunOptions,
): Promise<Session> {
  const graphs: Readonly<Record<string, { readonly file: string }>> = manifest.graphs;
  const graph = graphs[part];
  if (graph === undefined) throw new Error(`${manifest.name} has no graph ${part}`);
  const halfWeights = usesHalves(manifest.precision, part);
  return openSession(path(graph.file), { ...options, halfWeights });
}
