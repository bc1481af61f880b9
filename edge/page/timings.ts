// Where the time of one call went: what the answer's Server-Timing says, and what was measured here.

interface Stage {
  readonly name: string;
  readonly ms: number;
}
type Part = "way" | "worker" | "node";

export interface CallTimes {
  readonly totalMs: number;
  /** The way there and back, the Worker, the node: those that took time. They sum up to the whole. */
  readonly parts: readonly (Stage & { readonly part: Part })[];
  /** The hops of the Worker, then the node's own stages. */
  readonly stages: readonly (Stage & { readonly part: Part })[];
}

export interface MeasuredCall {
  readonly serverTiming: string;
  /** From the call to the answer's head, and to its end. */
  readonly headMs: number;
  readonly endMs: number;
  /** The head of a streamed answer leaves before the node is done. */
  readonly isStream: boolean;
  /** A node was asked. */
  readonly isLive: boolean;
}

const parse = (header: string): Stage[] =>
  header
    .split(",")
    .map((entry) => /^\s*([\w-]+);dur=([\d.]+)\s*$/.exec(entry))
    .filter((found) => found !== null)
    .map(([, name = "", ms]) => ({ name, ms: Number(ms) }));

const sum = (stages: readonly Stage[]): number => stages.reduce((total, { ms }) => total + ms, 0);

export function callTimes(call: MeasuredCall): CallTimes {
  const { headMs, endMs, isStream, isLive } = call;
  const all = parse(call.serverTiming);
  const at = (name: string): number | undefined => all.find((stage) => stage.name === name)?.ms;
  const isOwn = ({ name }: Stage): boolean => !/^(?:total$|begin$|node$|node-)/.test(name);
  const own = all.filter(isOwn);
  const ofNode = all.filter(({ name }) => /^node-(?!total$)/.test(name));
  // `begin`: until the head of a stream.
  const servedMs = Math.min(at("total") ?? at("begin") ?? headMs, isStream ? headMs : endMs);
  const wayMs = (isStream ? headMs : endMs) - servedMs;
  // Of a stream: what the Worker's hops until its head do not account for is the node's.
  const restMs = Math.max(0, endMs - wayMs - sum(own));
  const nodeMs = Math.min(isStream ? (isLive ? restMs : 0) : (at("node") ?? 0), endMs - wayMs);
  const parts = [
    { part: "way", name: "network", ms: wayMs },
    { part: "worker", name: "Worker", ms: endMs - wayMs - nodeMs },
    { part: "node", name: "node", ms: nodeMs },
  ] as const;
  return {
    totalMs: endMs,
    parts: parts.filter(({ ms }) => ms > 0),
    stages: [
      ...own.map((stage) => ({ ...stage, part: "worker" as const })),
      ...ofNode.map(({ name, ms }) => ({ name: name.slice(5), ms, part: "node" as const })),
    ],
  };
}

/** Milliseconds as a person reads them. */
export function sayMs(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
}
