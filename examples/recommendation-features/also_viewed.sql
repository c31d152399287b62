-- Recommendation features: for each item, the three items that were viewed most often together with it on that day.
--
--   millstream run examples/recommendation-features/also_viewed.sql
--
-- An interval join pairs the views of one user within ten minutes, a window of a day counts the pairs, and a window Top-N
-- keeps three for each item.

SET 'table.dml-sync' = 'true';

CREATE TABLE views_file (`user` STRING, item STRING, viewed_at TIMESTAMP(3)) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/recommendation-features/views.jsonl',
  'format' = 'json'
);

CREATE TABLE item_views (
  `user` STRING, item STRING, viewed_at TIMESTAMP(3),
  WATERMARK FOR viewed_at AS viewed_at - INTERVAL '1' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = 'item-views',
  'properties.group.id' = 'also-viewed',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO item_views SELECT * FROM views_file;

CREATE VIEW pairs AS
SELECT a.viewed_at, a.item, b.item AS other
FROM item_views AS a
JOIN item_views AS b
  ON a.`user` = b.`user` AND a.item <> b.item
  AND b.viewed_at BETWEEN a.viewed_at - INTERVAL '10' MINUTE AND a.viewed_at + INTERVAL '10' MINUTE;

CREATE VIEW daily_pairs AS
SELECT window_start, window_end, item, other, COUNT(*) AS together
FROM TABLE(TUMBLE(TABLE pairs, DESCRIPTOR(viewed_at), INTERVAL '1' DAY))
GROUP BY window_start, window_end, item, other;

CREATE TABLE also_viewed (
  `day` TIMESTAMP(3), item STRING, place BIGINT, other STRING, together BIGINT,
  WATERMARK FOR `day` AS `day` - INTERVAL '1' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'also-viewed',
  'properties.group.id' = 'also-viewed-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO also_viewed
SELECT window_start, item, place, other, together
FROM (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY window_start, window_end, item ORDER BY together DESC, other ASC) AS place
  FROM daily_pairs
)
WHERE place <= 3;

SELECT item, place, other, together FROM also_viewed ORDER BY `day`, item, place;
