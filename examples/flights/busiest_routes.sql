-- Flights out of New York, January 2013: busiest routes over a sliding window of six hours.
--
--   millstream run examples/flights/busiest_routes.sql
--
-- The first INSERT loads the file into the topic `flights`, as a producer would; the second is the job, from topic to
-- topic. Event time is the planned departure. Planes leave late, so records are out of order by up to a day: the
-- watermark waits that long.

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
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO flights SELECT * FROM flights_file;

CREATE TABLE route_counts (
  window_start TIMESTAMP(3), window_end TIMESTAMP(3), origin STRING, dest STRING, flights BIGINT, seats_miles BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = 'route-counts',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO route_counts
SELECT window_start, window_end, origin, dest, COUNT(*), SUM(CAST(distance AS BIGINT))
FROM TABLE(HOP(TABLE flights, DESCRIPTOR(planned), INTERVAL '1' HOUR, INTERVAL '6' HOUR))
GROUP BY window_start, window_end, origin, dest;

SELECT * FROM route_counts WHERE flights >= 13;
