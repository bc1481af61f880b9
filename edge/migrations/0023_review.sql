-- For review: by what name an editor knows the picture, and how much waits of each connection.
ALTER TABLE suggestions ADD COLUMN file_name TEXT;
CREATE INDEX suggestions_review ON suggestions (connection_id, state);
