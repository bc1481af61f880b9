-- Whether the requests of a job, pictures among them, still lie in R2: until it is over, and no longer.
ALTER TABLE jobs ADD COLUMN file_kept INTEGER NOT NULL DEFAULT 1;

CREATE INDEX jobs_files ON jobs (finished_at) WHERE file_kept = 1;
