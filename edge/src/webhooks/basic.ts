// Basic authentication (RFC 7617), for CMSs whose token is a name and a password with a colon between them.
import type { Cms } from "./adapter.ts";
import { toBase64 } from "./proofs.ts";

export const basicAuthorised = ({ token }: Pick<Cms, "token">) => ({
  authorization: `Basic ${toBase64(new TextEncoder().encode(token))}`,
});
