-- Loses: what was purged; entries of the cache that are older than their purge answer again.
DROP TABLE cache_purges;
DELETE FROM d1_migrations WHERE name = '0004_cache_purges.sql';
