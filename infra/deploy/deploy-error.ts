// What a deployment could not do, in words for the operator: what happened, and what to do next.

export class DeployError extends Error {
  readonly next: string;

  constructor(what: string, next: string, options?: ErrorOptions) {
    super(what, options);
    this.next = next;
  }
}

/** Wrong usage of the command line; the message is for the person who typed it. */
export class DeployUsageError extends Error {}
