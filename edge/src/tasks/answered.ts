// What a task hands to its route: the body of the answer, and whether a cache had it.
import type { CacheOutcome } from "../cache/answer-headers.ts";

export interface Answered<Body> {
  readonly body: Body;
  readonly outcome: CacheOutcome;
}
