-- Loses: the file names of suggestions.
DROP INDEX suggestions_review;
ALTER TABLE suggestions DROP COLUMN file_name;
DELETE FROM d1_migrations WHERE name = '0023_review.sql';
