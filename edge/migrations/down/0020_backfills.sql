-- Loses: backfills, the pictures of them whose turn had not come, and what the model said where a person has edited it.
-- The Worker of before knows no such state.
DELETE FROM deliveries WHERE state = 'listed';
DROP TABLE backfills;
ALTER TABLE connections DROP COLUMN hint_at;
DROP INDEX deliveries_fresh;
DROP INDEX deliveries_bulk;
DROP INDEX deliveries_backfill;
ALTER TABLE deliveries DROP COLUMN bulk;
ALTER TABLE deliveries DROP COLUMN backfill;
ALTER TABLE suggestions DROP COLUMN original;
ALTER TABLE suggestions DROP COLUMN edited_at;
ALTER TABLE suggestions DROP COLUMN edited_by;
DELETE FROM d1_migrations WHERE name = '0020_backfills.sql';
