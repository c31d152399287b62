-- Flights out of New York, January 2013: cancelled flights, a filter from topic to topic.
--
--   millstream run examples/flights/cancelled.sql
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
  'topic' = 'flights-cancelled',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO flights SELECT * FROM flights_file;

CREATE TABLE cancelled_flights (
  flight STRING, route STRING, planned TIMESTAMP(3), tail STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'cancelled-flights',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO cancelled_flights
SELECT flight, origin || '-' || dest, planned, tail FROM flights WHERE cancelled;

SELECT * FROM cancelled_flights WHERE route = 'LGA-ORD';
