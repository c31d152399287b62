-- Flights out of New York, January 2013: the busiest routes in sliding windows of six hours.
--
--   millstream run examples/flights/busiest_routes.sql
--
-- The first INSERT loads a file into a topic, as a producer would. The second is the job, from topic to topic. Event time
-- is the planned departure: planes leave late, so records are out of order by up to a day, and the watermark waits that long.
-- The windows are counted in parallel, and one instance may write days ahead of another: the report waits for the whole
-- month, as it would drop late rows otherwise. Both reads use a consumer group, so a second run reads what the second run has loaded.

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
  'topic' = 'flights-busiest-routes',
  'properties.group.id' = 'busiest-routes',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO flights SELECT * FROM flights_file;

CREATE TABLE route_counts (
  window_start TIMESTAMP(3), window_end TIMESTAMP(3), origin STRING, dest STRING, flights BIGINT, miles BIGINT,
  WATERMARK FOR window_start AS window_start - INTERVAL '31' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'route-counts',
  'properties.group.id' = 'route-counts-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO route_counts
SELECT window_start, window_end, origin, dest, COUNT(*), SUM(CAST(distance AS BIGINT))
FROM TABLE(HOP(TABLE flights, DESCRIPTOR(planned), INTERVAL '1' HOUR, INTERVAL '6' HOUR))
GROUP BY window_start, window_end, origin, dest;

SELECT * FROM route_counts WHERE flights >= 14 ORDER BY window_start, origin, dest;
