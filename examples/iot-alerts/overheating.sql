-- Sensor alerts: a machine overheats when the mean of its last five minutes exceeds 72 degrees. A single outlier does not.
--
--   millstream run examples/iot-alerts/overheating.sql

SET 'table.dml-sync' = 'true';

CREATE TABLE readings_file (machine STRING, celsius DOUBLE, measured_at TIMESTAMP(3)) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/iot-alerts/readings.jsonl',
  'format' = 'json'
);

CREATE TABLE readings (
  machine STRING, celsius DOUBLE, measured_at TIMESTAMP(3),
  WATERMARK FOR measured_at AS measured_at - INTERVAL '10' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'readings',
  'properties.group.id' = 'overheating',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO readings SELECT * FROM readings_file;

-- An OVER window gives every reading the aggregates of its own past.
CREATE VIEW smoothed AS
SELECT machine, measured_at, celsius,
       AVG(celsius) OVER last_minutes AS mean_celsius,
       COUNT(*) OVER last_minutes AS readings
FROM readings
WINDOW last_minutes AS (
  PARTITION BY machine ORDER BY measured_at
  RANGE BETWEEN INTERVAL '5' MINUTE PRECEDING AND CURRENT ROW
);

CREATE TABLE alerts (
  machine STRING, measured_at TIMESTAMP(3), celsius DOUBLE, mean_celsius DECIMAL(5, 1),
  WATERMARK FOR measured_at AS measured_at - INTERVAL '1' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'overheating-alerts',
  'properties.group.id' = 'overheating-alerts-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

-- The mean of fewer than ten readings says little.
INSERT INTO alerts
SELECT machine, measured_at, celsius, CAST(mean_celsius AS DECIMAL(5, 1))
FROM smoothed
WHERE readings >= 10 AND mean_celsius > 72;

SELECT * FROM alerts ORDER BY measured_at, machine;
