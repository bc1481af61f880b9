-- What a key may do and spend. Keys from before may infer, without a limit, as they could.
-- `scopes` and `fetch_allow` are lists with a space between their entries; a null limit is none.
-- `previous_hash` is the secret before the last rotation, valid until `previous_until`.
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'infer';
ALTER TABLE api_keys ADD COLUMN requests_per_minute INTEGER;
ALTER TABLE api_keys ADD COLUMN inferences_per_day INTEGER;
ALTER TABLE api_keys ADD COLUMN inferences_per_month INTEGER;
ALTER TABLE api_keys ADD COLUMN concurrency INTEGER;
ALTER TABLE api_keys ADD COLUMN fetch_allow TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN no_store INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
ALTER TABLE api_keys ADD COLUMN previous_hash TEXT;
ALTER TABLE api_keys ADD COLUMN previous_until INTEGER;
