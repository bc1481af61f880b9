// The words of the stand-in for Cloudflare's API: what a route is, what it is asked, how it refuses and how it lists.

/** An answer that is none, in the API's form. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: number;

  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export interface Asked {
  readonly method: string;
  /** Below /accounts/ID. */
  readonly path: string;
  readonly query: URLSearchParams;
  json(): Promise<never>;
  form(): Promise<FormData>;
}

/** A page of a list, as the API gives one; everything else is a whole result. */
export class Page {
  readonly items: readonly unknown[];
  /** Where the items lie in the result, of a list that goes on by cursor. */
  readonly within: string | undefined;

  constructor(items: readonly unknown[], within?: string) {
    this.items = items;
    this.within = within;
  }
}

export type Area = "account" | "billing" | "d1" | "kv" | "r2" | "queues" | "vectorize" | "workers";
export interface ApiRoute {
  readonly area: Area;
  readonly method: string;
  readonly path: RegExp;
  readonly answer: (asked: Asked, ...parts: string[]) => unknown;
}
