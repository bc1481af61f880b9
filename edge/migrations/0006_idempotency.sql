-- Requests with an Idempotency-Key (docs/decisions/0110). Of the key only a hash is here; the answer is sealed.
-- Times are Unix milliseconds. `answer` is null while the first request goes on.
CREATE TABLE idempotent_requests (
  tenant TEXT NOT NULL,
  key_hash TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  seed TEXT NOT NULL,
  lease TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  answer TEXT,
  PRIMARY KEY (tenant, key_hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotent_requests_expiry ON idempotent_requests (expires_at);
