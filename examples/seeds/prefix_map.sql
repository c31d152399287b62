-- The smallest job: each message of topic `input` with "processed-" in front, in topic `output`.
--
--   echo hello | millstream topic produce input
--   millstream run examples/seeds/prefix_map.sql
--   millstream topic tail output --from-beginning

CREATE TABLE input (
  message STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'input',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'raw'
);

CREATE TABLE output (
  message STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'output',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'format' = 'raw'
);

INSERT INTO output SELECT 'processed-' || message FROM input;
