// How many requests find their answer, in the mean of a long time: entries live for a fixed time from when they were
// stored, so one that is asked for at a rate r is found r*ttl times between two misses (a renewal; Jung, Berger,
// Balakrishnan 2003). Requests that come while the first is at work wait for it and cost no node either.
import { type RequestMix, type Task, taskShares, zipfShares } from "./request-mix.ts";

/** The part of requests, `perS` of them, that is found, where each of them is one of these with this probability. */
function foundOf(shares: readonly Float64Array[], perS: number, ttlS: number): number {
  const [first = Float64Array.of(1), second = Float64Array.of(1)] = shares;
  let found = 0;
  for (const one of first) {
    for (const other of second) {
      const asked = one * other * perS * ttlS;
      found += one * other * (asked / (1 + asked));
    }
  }
  return found;
}

/** Of each kind of request. `perS`: of all kinds together. */
function hitRates(mix: RequestMix, perS: number, ttlS: number): Record<Task, number> {
  const shares = taskShares(mix);
  const pictures = zipfShares(mix.pictures);
  const about = (task: Task, texts: readonly Float64Array[]): number => {
    const known = 1 - mix.fresh_pictures;
    return known * foundOf([pictures, ...texts], perS * shares[task] * known, ttlS);
  };
  return {
    caption: about("caption", []),
    vqa: about("vqa", [zipfShares(mix.questions)]),
    match: about("match", [zipfShares(mix.labels)]),
    search: foundOf([zipfShares(mix.searches)], perS * shares.search, ttlS),
  };
}

/** Of all requests together. */
export function hitRate(mix: RequestMix, perS: number, ttlS: number): number {
  const [shares, rates] = [taskShares(mix), hitRates(mix, perS, ttlS)];
  return (Object.keys(shares) as Task[]).reduce((sum, task) => sum + shares[task] * rates[task], 0);
}
