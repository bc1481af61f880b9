// Who stands before the page where Cloudflare Access stands before the Worker: the person that its signed assertion
// names, for this application and now. The team's public keys are fetched by jose, remembered for minutes, and asked
// for anew at most every half minute when a key is not among them.
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { createRemoteJWKSet, customFetch, errors, jwtVerify } from "jose";
import type { Fetch } from "../images/fetch.ts";
import { describeError } from "../log.ts";

const accessHeader = "cf-access-jwt-assertion";

export interface AccessOptions {
  /** Origin of the team's domain, which is the assertions' issuer. */
  readonly team: string;
  /** The application's tag. */
  readonly audience: string;
  readonly fetch: Fetch;
}

/** The person's address, in lower case. Throws forbidden, and identity_unavailable when the keys cannot be read. */
export type FindPerson = (headers: Headers) => Promise<string>;

/** Two keys of a team are 4 KB. */
const maxKeysBytes = 65_536;
const timeoutMs = 5_000;
/** The clocks of two companies. */
const toleratedS = 10;

/** What is wrong with the assertion itself; anything else is wrong with reading the keys. */
const faultsOfTokens = [
  ...[errors.JWTExpired, errors.JWTClaimValidationFailed, errors.JWTInvalid, errors.JWSInvalid],
  ...[errors.JWSSignatureVerificationFailed, errors.JOSEAlgNotAllowed, errors.JOSENotSupported],
  ...[errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys],
];

const refused = (internal: string): AppError =>
  new AppError(
    "forbidden",
    "This page is behind Cloudflare Access, which does not say who you are. Sign in there and start again from your client.",
    { internal },
  );

export function accessPersons({ team, audience, fetch }: AccessOptions): FindPerson {
  const keys = createRemoteJWKSet(new URL("/cdn-cgi/access/certs", team), {
    timeoutDuration: timeoutMs,
    [customFetch]: async (url, init) => {
      const response = await fetch(url, init);
      const read = await readBounded(response.body, maxKeysBytes, init.signal);
      if (!read.ok) throw new Error("the team's keys are too long");
      return new Response(read.bytes, { status: response.status });
    },
  });
  return async (headers) => {
    const token = headers.get(accessHeader);
    if (token === null) throw refused("no assertion of Access");
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: team,
        audience,
        algorithms: ["RS256"],
        requiredClaims: ["exp", "iat"],
        clockTolerance: toleratedS,
      });
      const { email } = payload;
      // A service token has none: no person, so nobody to ask.
      if (typeof email !== "string" || email === "") throw refused("an assertion of no person");
      return email.toLowerCase();
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (faultsOfTokens.some((fault) => error instanceof fault)) {
        throw refused(describeError(error));
      }
      throw new AppError(
        "identity_unavailable",
        "The keys of Cloudflare Access cannot be read now. Try again in a moment.",
        { internal: describeError(error), cause: error },
      );
    }
  };
}
