-- Loses: scopes, limits, hosts, `no_store` and secrets under rotation of every key. What remains lets every key infer
-- without a limit: revoke first whatever must not.
ALTER TABLE api_keys DROP COLUMN previous_until;
ALTER TABLE api_keys DROP COLUMN previous_hash;
ALTER TABLE api_keys DROP COLUMN last_used_at;
ALTER TABLE api_keys DROP COLUMN no_store;
ALTER TABLE api_keys DROP COLUMN fetch_allow;
ALTER TABLE api_keys DROP COLUMN concurrency;
ALTER TABLE api_keys DROP COLUMN inferences_per_month;
ALTER TABLE api_keys DROP COLUMN inferences_per_day;
ALTER TABLE api_keys DROP COLUMN requests_per_minute;
ALTER TABLE api_keys DROP COLUMN scopes;
DELETE FROM d1_migrations WHERE name = '0002_keys_grow_up.sql';
