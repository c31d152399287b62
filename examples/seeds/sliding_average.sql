-- A sliding average: every second the mean of the last ten, for each sensor.
--
--   echo '{"sensor":"a","value":21.5,"ts":"2024-01-01 00:00:00"}' | millstream topic produce sliding-average-input
--   millstream run examples/seeds/sliding_average.sql
--   millstream topic tail sliding-average-output --from-beginning

CREATE TABLE input (
  sensor STRING,
  `value` DOUBLE,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'sliding-average-input',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE output (
  window_end TIMESTAMP(3),
  sensor STRING,
  mean DOUBLE
) WITH (
  'connector' = 'kafka',
  'topic' = 'sliding-average-output',
  'format' = 'json'
);

INSERT INTO output
SELECT window_end, sensor, AVG(`value`)
FROM TABLE(HOP(TABLE input, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '10' SECOND))
GROUP BY window_start, window_end, sensor;
