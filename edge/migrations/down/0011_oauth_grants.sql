-- Loses: what people have let clients do; every client asks again.
DROP TABLE oauth_grants;
DELETE FROM d1_migrations WHERE name = '0011_oauth_grants.sql';
