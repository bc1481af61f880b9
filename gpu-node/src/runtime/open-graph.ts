// One graph of an artifact as a session.
import type { Artifact } from "../artifact/open-artifact.ts";
import { openSession, type Session, type SessionOptions } from "./ort.ts";

/** `part` is a graph's name in the manifest. Errors: those of openSession. */
export function openGraph(
  { manifest, path }: Artifact,
  part: string,
  options: SessionOptions,
): Promise<Session> {
  const graphs: Readonly<Record<string, { readonly file: string }>> = manifest.graphs;
  const graph = graphs[part];
  if (graph === undefined) throw new Error(`${manifest.name} has no graph ${part}`);
  return openSession(path(graph.file), options);
}
