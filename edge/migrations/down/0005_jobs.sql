-- Loses: every job and its progress. Requests and results stay in R2 (bucket JOBS), and nothing finds them.
DROP TABLE job_items;
DROP TABLE jobs;
DELETE FROM d1_migrations WHERE name = '0005_jobs.sql';
