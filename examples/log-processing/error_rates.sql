-- Log processing: error rates of a web server, minute by minute, from its access log.
--
--   millstream run examples/log-processing/error_rates.sql
--
-- Topic `access-log` holds raw lines. Regular expressions extract the fields, windows count them. One statement set runs
-- two INSERTs in one job: lines that do not parse go to a topic of their own instead of being dropped.

SET 'table.dml-sync' = 'true';

CREATE TABLE access_log_file (line STRING) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/log-processing/access.log',
  'format' = 'raw'
);

CREATE TABLE access_log (
  line STRING,
  logged_at AS TO_TIMESTAMP(REGEXP_EXTRACT(line, '\[([^ \]]+) ', 1), 'dd/MMM/yyyy:HH:mm:ss'),
  WATERMARK FOR logged_at AS logged_at - INTERVAL '10' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'access-log',
  'properties.group.id' = 'error-rates',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'raw'
);

INSERT INTO access_log SELECT line FROM access_log_file;

CREATE VIEW requests AS
SELECT logged_at,
       REGEXP_EXTRACT(line, '"[A-Z]+ ([^ ?"]+)', 1) AS path,
       CAST(REGEXP_EXTRACT(line, '" ([0-9]{3}) ', 1) AS INT) AS status
FROM access_log
WHERE logged_at IS NOT NULL;

CREATE TABLE error_rates (
  window_start TIMESTAMP(3), path STRING, requests BIGINT, errors BIGINT,
  WATERMARK FOR window_start AS window_start - INTERVAL '1' HOUR
) WITH (
  'connector' = 'kafka',
  'topic' = 'error-rates',
  'properties.group.id' = 'error-rates-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

CREATE TABLE malformed_lines (line STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'malformed-lines',
  'properties.group.id' = 'malformed-lines-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'raw'
);

EXECUTE STATEMENT SET
BEGIN
  INSERT INTO error_rates
  SELECT window_start, path, COUNT(*), COUNT(*) FILTER (WHERE status >= 500)
  FROM TABLE(TUMBLE(TABLE requests, DESCRIPTOR(logged_at), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, path;

  INSERT INTO malformed_lines SELECT line FROM access_log WHERE logged_at IS NULL;
END;

SELECT window_start, path, errors, requests, CAST(100.0 * errors / requests AS DECIMAL(5, 1)) AS error_percent
FROM error_rates
WHERE errors > 0
ORDER BY window_start, path;

SELECT * FROM malformed_lines;
