-- The smallest job: each message of topic `prefix-map-input` with "processed-" in front, in topic `prefix-map-output`.
--
--   echo hello | millstream topic produce prefix-map-input
--   millstream run examples/seeds/prefix_map.sql
--   millstream topic tail prefix-map-output --from-beginning

CREATE TABLE input (
  message STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'prefix-map-input',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'raw'
);

CREATE TABLE output (
  message STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'prefix-map-output',
  'format' = 'raw'
);

INSERT INTO output SELECT 'processed-' || message FROM input;
