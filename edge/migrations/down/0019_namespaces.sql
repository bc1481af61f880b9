-- Loses: the list of names. Namespaces and what is in them stay, and answer to their names.
DROP TABLE namespaces;
DELETE FROM d1_migrations WHERE name = '0019_namespaces.sql';
