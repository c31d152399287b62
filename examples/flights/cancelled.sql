-- Flights out of New York, January 2013: cancelled flights, a filter from topic to topic.
--
--   millstream run examples/flights/cancelled.sql
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
  'topic' = 'flights-cancelled',
  'properties.group.id' = 'cancelled',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO flights SELECT * FROM flights_file;

CREATE TABLE cancelled_flights (
  flight STRING, route STRING, planned TIMESTAMP(3), tail STRING,
  WATERMARK FOR planned AS planned - INTERVAL '2' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'cancelled-flights',
  'properties.group.id' = 'cancelled-flights-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO cancelled_flights
SELECT flight, origin || '-' || dest, planned, tail FROM flights WHERE cancelled;

SELECT * FROM cancelled_flights WHERE route = 'LGA-ORD' ORDER BY planned, flight;
