-- CMSs whose pictures get their words from here (docs/decisions/0170). Times are Unix milliseconds; secrets are
-- sealed. `options` is what was asked for, without defaults. `sweep_due_at` is null where nothing is asked for.
CREATE TABLE connections (
  id TEXT PRIMARY KEY NOT NULL,
  tenant TEXT NOT NULL,
  key_id TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  base_url TEXT NOT NULL,
  allow_private INTEGER NOT NULL,
  options TEXT NOT NULL,
  token TEXT NOT NULL,
  webhook_secret TEXT NOT NULL,
  previous_secret TEXT,
  previous_until INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  sweep_due_at INTEGER,
  sweep_cursor TEXT,
  swept_at INTEGER,
  paused_until INTEGER NOT NULL DEFAULT 0,
  paused_times INTEGER NOT NULL DEFAULT 0,
  paused_reason TEXT
) STRICT;

CREATE INDEX connections_tenant ON connections (tenant);
CREATE INDEX connections_sweep ON connections (sweep_due_at) WHERE sweep_due_at IS NOT NULL;

-- The inbox: a row for each asset of each delivery, and the truth of what is left to do. `due_at` is when it may
-- be worked on, or when the lease of who works on it ends; null once it is over. A row that asks for work names the
-- version of the asset's bytes, and there is one for each; a row that only tells why there is none leaves it empty.
CREATE TABLE deliveries (
  id TEXT PRIMARY KEY NOT NULL,
  connection_id TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  body_digest TEXT,
  event TEXT NOT NULL,
  asset_id TEXT NOT NULL DEFAULT '',
  version TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  reason TEXT,
  detail TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  seen INTEGER NOT NULL DEFAULT 1,
  due_at INTEGER,
  lease TEXT,
  received_at INTEGER NOT NULL,
  finished_at INTEGER
) STRICT;

CREATE UNIQUE INDEX deliveries_once ON deliveries (connection_id, delivery_id, asset_id);
CREATE UNIQUE INDEX deliveries_version ON deliveries (connection_id, asset_id, version) WHERE version <> '';
CREATE INDEX deliveries_due ON deliveries (connection_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_open ON deliveries (connection_id, asset_id) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_over ON deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- What was said of a version of an asset: what its fields held, our words, and what was done with them.
CREATE TABLE suggestions (
  id TEXT PRIMARY KEY NOT NULL,
  connection_id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  delivery TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  version TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  before TEXT NOT NULL,
  ours TEXT NOT NULL,
  image_id TEXT NOT NULL,
  model TEXT NOT NULL,
  model_revision TEXT NOT NULL,
  log_prob REAL NOT NULL,
  itm REAL,
  created_at INTEGER NOT NULL,
  decided_at INTEGER,
  decided_by TEXT
) STRICT;

CREATE INDEX suggestions_asset ON suggestions (connection_id, asset_id);
CREATE INDEX suggestions_state ON suggestions (tenant, state);

-- The audit trail: what happened to what, by whom (a key's id, `sender` or `worker`). Never words or secrets.
CREATE TABLE connection_events (
  n INTEGER PRIMARY KEY NOT NULL,
  connection_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  what TEXT NOT NULL,
  asset_id TEXT NOT NULL DEFAULT '',
  subject TEXT NOT NULL DEFAULT '',
  reason TEXT
) STRICT;

CREATE INDEX connection_events_of ON connection_events (connection_id, asset_id);
