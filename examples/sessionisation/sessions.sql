-- Sessionisation: a session of a user ends after 30 minutes without a click.
--
--   millstream run examples/sessionisation/sessions.sql

SET 'table.dml-sync' = 'true';

CREATE TABLE clicks_file (`user` STRING, page STRING, clicked_at TIMESTAMP(3)) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/sessionisation/clicks.jsonl',
  'format' = 'json'
);

CREATE TABLE clicks (
  `user` STRING, page STRING, clicked_at TIMESTAMP(3),
  WATERMARK FOR clicked_at AS clicked_at - INTERVAL '1' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = 'clicks',
  'properties.group.id' = 'sessions',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO clicks SELECT * FROM clicks_file;

CREATE TABLE sessions (
  `user` STRING, started TIMESTAMP(3), ended TIMESTAMP(3), clicks BIGINT, bought BOOLEAN, path STRING,
  WATERMARK FOR started AS started - INTERVAL '1' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'sessions',
  'properties.group.id' = 'sessions-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

-- A session window ends one gap after its last click; `MAX(clicked_at)` is that click.
INSERT INTO sessions
SELECT `user`, window_start, MAX(clicked_at), COUNT(*), COUNT(*) FILTER (WHERE page = '/thanks') > 0, LISTAGG(page, ' ')
FROM TABLE(SESSION(TABLE clicks PARTITION BY `user`, DESCRIPTOR(clicked_at), INTERVAL '30' MINUTE))
GROUP BY window_start, window_end, `user`;

SELECT * FROM sessions ORDER BY started;
