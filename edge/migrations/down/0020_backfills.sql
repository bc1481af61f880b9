-- Loses: backfills and how far they are, with the pictures whose turn has not come; of an edited suggestion what the model
-- had said, when and by whom it was edited. The words that were written stay.
DROP TABLE backfills;
ALTER TABLE connections DROP COLUMN hint_at;
DROP INDEX deliveries_backfill;
DROP INDEX deliveries_bulk;
DROP INDEX deliveries_fresh;
DELETE FROM deliveries WHERE state = 'listed';
ALTER TABLE deliveries DROP COLUMN bulk;
ALTER TABLE deliveries DROP COLUMN backfill;
ALTER TABLE suggestions DROP COLUMN edited_by;
ALTER TABLE suggestions DROP COLUMN edited_at;
ALTER TABLE suggestions DROP COLUMN original;
DELETE FROM d1_migrations WHERE name = '0020_backfills.sql';
