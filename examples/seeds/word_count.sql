-- Word count over windows of ten seconds, by the time at which the records were produced.
--
--   echo 'to be or not to be' | millstream topic produce word-count-input
--   millstream run examples/seeds/word_count.sql
--   millstream topic tail word-count-output --from-beginning

CREATE TABLE input (
  line STRING,
  ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR ts AS ts
) WITH (
  'connector' = 'kafka',
  'topic' = 'word-count-input',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'raw'
);

CREATE TABLE output (
  window_start TIMESTAMP(3),
  word STRING,
  n BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = 'word-count-output',
  'format' = 'json'
);

CREATE VIEW words AS
SELECT word, ts FROM input CROSS JOIN UNNEST(SPLIT(LOWER(line), ' ')) AS t (word) WHERE word <> '';

INSERT INTO output
SELECT window_start, word, COUNT(*)
FROM TABLE(TUMBLE(TABLE words, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY window_start, window_end, word;
