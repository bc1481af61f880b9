-- Under which names a tenant has put pictures, so that they can be listed: an index is found by its name alone. The
-- index is the truth; a name may be missing for a moment, or be one that holds nothing any more.
CREATE TABLE namespaces (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
