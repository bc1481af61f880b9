// Rendezvous hashing (highest random weight): every isolate ranks the nodes for a key alike, without
// talking, and a node that comes or goes moves only the keys that are its own. With weights by the method
// of Schindelhauer and Schomaker (2005): -weight / ln(u), u uniform in (0, 1) for each pair of key and node.

export interface Ranked {
  readonly id: string;
  readonly weight: number;
}

/** 32 bits of a text: FNV-1a, mixed by the finaliser of MurmurHash3. Spreads; proves nothing. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return mix(hash);
}

function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The nodes in the order in which they are to be asked about the key; weights must be positive. */
export function rankNodes<Node extends Ranked>(key: string, nodes: readonly Node[]): Node[] {
  const keyHash = hash32(key);
  const scored = nodes.map((node) => {
    const uniform = (mix(keyHash ^ hash32(node.id)) + 0.5) / 2 ** 32;
    return { node, score: -node.weight / Math.log(uniform) };
  });
  scored.sort((a, b) => b.score - a.score || (a.node.id < b.node.id ? -1 : 1));
  return scored.map(({ node }) => node);
}
