-- Loses: connections with their sealed secrets, deliveries, suggestions and the trail. What was written into CMSs stays.
DROP TABLE connection_events;
DROP TABLE suggestions;
DROP TABLE deliveries;
DROP TABLE connections;
DELETE FROM d1_migrations WHERE name = '0010_connections.sql';
