-- Jobs and their items. The row is the truth: a queue message only says that there may be something to do.
-- Times are Unix milliseconds. Requests and results lie in R2 (bucket JOBS).
CREATE TABLE jobs (
  id TEXT PRIMARY KEY NOT NULL,
  tenant TEXT NOT NULL,
  key_id TEXT NOT NULL,
  name TEXT,
  state TEXT NOT NULL,
  total INTEGER NOT NULL,
  defaults TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  expires_at INTEGER NOT NULL,
  keep_until INTEGER,
  counts TEXT,
  problem TEXT,
  paused_until INTEGER NOT NULL DEFAULT 0,
  paused_times INTEGER NOT NULL DEFAULT 0,
  paused_code TEXT,
  hook_url TEXT,
  hook_secret TEXT,
  hook_state TEXT,
  hook_attempts INTEGER NOT NULL DEFAULT 0,
  hook_due_at INTEGER,
  hook_status INTEGER
) STRICT;

CREATE INDEX jobs_tenant ON jobs (tenant);
CREATE INDEX jobs_open ON jobs (expires_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_kept ON jobs (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX jobs_hook ON jobs (hook_due_at) WHERE hook_due_at IS NOT NULL;

-- `due_at`: when a waiting item may be tried; when the lease of a running one ends. `seq` is given once, when
-- the item is recorded, and counts within the job. `lease` of a recorded item is the name of its result.
CREATE TABLE job_items (
  job_id TEXT NOT NULL,
  n INTEGER NOT NULL,
  id TEXT,
  task TEXT NOT NULL,
  input_at INTEGER NOT NULL,
  input_bytes INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting',
  due_at INTEGER NOT NULL,
  lease TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  seq INTEGER,
  result_bytes INTEGER,
  problem TEXT,
  finished_at INTEGER,
  PRIMARY KEY (job_id, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_items_state ON job_items (job_id, state, due_at);
CREATE INDEX job_items_running ON job_items (due_at) WHERE state = 'running';
CREATE UNIQUE INDEX job_items_seq ON job_items (job_id, seq) WHERE seq IS NOT NULL;
