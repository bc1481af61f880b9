-- Loses: every API key; only the operators' still open anything.
DROP TABLE api_keys;
DELETE FROM d1_migrations WHERE name = '0001_api_keys.sql';
