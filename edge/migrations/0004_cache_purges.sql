-- What of the cache is forgotten: everything in this scope that was known at `purged_at` (Unix milliseconds)
-- or before. `*` stands for every partition, picture or revision.
CREATE TABLE cache_purges (
  partition TEXT NOT NULL,
  image_id TEXT NOT NULL,
  model_revision TEXT NOT NULL,
  purged_at INTEGER NOT NULL,
  PRIMARY KEY (partition, image_id, model_revision)
) STRICT;
