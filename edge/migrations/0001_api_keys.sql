-- API keys. The secret itself is never stored: `secret_hash` is SHA-256 over the whole key (hex).
-- Times are Unix milliseconds.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY NOT NULL,
  prefix TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT;

CREATE INDEX api_keys_tenant ON api_keys (tenant);
