-- A person's words in the place of ours (docs/decisions/0188): `original` is what the model said.
ALTER TABLE suggestions ADD COLUMN original TEXT;
ALTER TABLE suggestions ADD COLUMN edited_at INTEGER;
ALTER TABLE suggestions ADD COLUMN edited_by TEXT;

-- `backfill`: which one found it. `bulk`: it stands behind what comes in fresh, as what a sweep finds does. In state `listed` its turn has not come,
-- and `due_at` is null.
ALTER TABLE deliveries ADD COLUMN backfill TEXT;
ALTER TABLE deliveries ADD COLUMN bulk INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deliveries_fresh ON deliveries (connection_id, due_at) WHERE due_at IS NOT NULL AND bulk = 0;
CREATE INDEX deliveries_bulk ON deliveries (connection_id, due_at) WHERE due_at IS NOT NULL AND bulk = 1;
CREATE INDEX deliveries_backfill ON deliveries (backfill, state) WHERE backfill IS NOT NULL;

-- When the next message about the connection comes, if it is not lost: so many rows need no more than one.
ALTER TABLE connections ADD COLUMN hint_at INTEGER NOT NULL DEFAULT 0;

-- Libraries that are gone through (docs/decisions/0189). `due_at` is when the next step may be done, or when the lease of
-- who does one ends; null unless it runs. `cursor` is where the CMS's list goes on, `fresh` how many pictures this pass
-- over it has brought, `next_at` when the rate allows the next one. `counts` is how it ended.
CREATE TABLE backfills (
  id TEXT PRIMARY KEY NOT NULL,
  connection_id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  started_by TEXT NOT NULL,
  pictures TEXT NOT NULL,
  dry_run INTEGER NOT NULL,
  rate INTEGER NOT NULL,
  most INTEGER,
  state TEXT NOT NULL,
  reason TEXT,
  detail TEXT,
  listing INTEGER NOT NULL DEFAULT 1,
  cursor TEXT,
  pass INTEGER NOT NULL DEFAULT 1,
  fresh INTEGER NOT NULL DEFAULT 0,
  found INTEGER NOT NULL DEFAULT 0,
  counted INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER,
  lease TEXT,
  counts TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX backfills_open ON backfills (connection_id) WHERE ended_at IS NULL;
CREATE INDEX backfills_due ON backfills (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX backfills_tenant ON backfills (tenant);
