-- Flights out of New York, January 2013: delays of each carrier, hour by hour.
--
--   millstream run examples/flights/hourly_delays.sql
--
-- The first INSERT loads a file into a topic, as a producer would. The second is the job, from topic to topic. Event time
-- is the planned departure: planes leave late, so records are out of order by up to a day, and the watermark waits that long.
-- Both reads use a consumer group, so a second run reads what the second run has loaded.

SET 'table.dml-sync' = 'true';

CREATE TABLE flights_file (
  flight STRING, carrier STRING, tail STRING, origin STRING, dest STRING, planned TIMESTAMP(3),
  dep_delay INT, arr_delay INT, air_time INT, distance INT, cancelled BOOLEAN
) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/flights/flights-2013-01.jsonl.gz',
  'format' = 'json'
);

CREATE TABLE flights (
  flight STRING, carrier STRING, tail STRING, origin STRING, dest STRING, planned TIMESTAMP(3),
  dep_delay INT, arr_delay INT, air_time INT, distance INT, cancelled BOOLEAN,
  WATERMARK FOR planned AS planned - INTERVAL '1' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'flights-hourly-delays',
  'properties.group.id' = 'hourly-delays',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO flights SELECT * FROM flights_file;

CREATE TABLE hourly_delays (
  window_start TIMESTAMP(3), carrier STRING, flights BIGINT, mean_delay INT, longest_delay INT,
  WATERMARK FOR window_start AS window_start - INTERVAL '40' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'hourly-delays',
  'properties.group.id' = 'hourly-delays-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO hourly_delays
SELECT window_start, carrier, COUNT(*), AVG(dep_delay), MAX(dep_delay)
FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(planned), INTERVAL '1' HOUR))
WHERE NOT cancelled
GROUP BY window_start, window_end, carrier;

SELECT * FROM hourly_delays WHERE longest_delay > 360 ORDER BY window_start, carrier;
