-- What people have let clients do for them at /mcp (docs/decisions/0161). The row is the truth: a token whose row is
-- revoked or over is worth nothing, whatever KV still holds. Of tokens nothing is here. Times are Unix milliseconds;
-- `scopes` is a list with a space between its entries; `proof` says by what the person was known: key or access.
CREATE TABLE oauth_grants (
  id TEXT PRIMARY KEY NOT NULL,
  tenant TEXT NOT NULL,
  key_id TEXT NOT NULL,
  client_id TEXT NOT NULL,
  client_name TEXT NOT NULL,
  redirect_host TEXT NOT NULL,
  scopes TEXT NOT NULL,
  proof TEXT NOT NULL,
  person TEXT,
  created_at INTEGER NOT NULL,
  refreshed_at INTEGER,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

CREATE INDEX oauth_grants_tenant ON oauth_grants (tenant);
CREATE INDEX oauth_grants_key ON oauth_grants (key_id);
CREATE INDEX oauth_grants_expiry ON oauth_grants (expires_at);
