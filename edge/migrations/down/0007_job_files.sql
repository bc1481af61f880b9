-- Loses: of which finished jobs the requests no longer lie in R2; up again, all count as lying there.
DROP INDEX jobs_files;
ALTER TABLE jobs DROP COLUMN file_kept;
DELETE FROM d1_migrations WHERE name = '0007_job_files.sql';
