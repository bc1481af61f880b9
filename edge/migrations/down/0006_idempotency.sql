-- Loses: the answers to Idempotency-Key; who sends a request again has it done again.
DROP TABLE idempotent_requests;
DELETE FROM d1_migrations WHERE name = '0006_idempotency.sql';
