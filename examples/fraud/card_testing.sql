-- Fraud: a stolen card is tried with small amounts, and a large payment follows within ten minutes.
--
--   millstream run examples/fraud/card_testing.sql
--
-- MATCH_RECOGNIZE looks for the pattern in the payments of each card, in the order of event time.

SET 'table.dml-sync' = 'true';

CREATE TABLE payments_file (card STRING, amount DECIMAL(8, 2), paid_at TIMESTAMP(3)) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/fraud/payments.jsonl',
  'format' = 'json'
);

CREATE TABLE payments (
  card STRING, amount DECIMAL(8, 2), paid_at TIMESTAMP(3),
  WATERMARK FOR paid_at AS paid_at - INTERVAL '1' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = 'payments',
  'properties.group.id' = 'card-testing',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO payments SELECT * FROM payments_file;

CREATE TABLE fraud_alerts (
  card STRING, first_probe TIMESTAMP(3), probes BIGINT, charged_at TIMESTAMP(3), amount DECIMAL(8, 2),
  WATERMARK FOR charged_at AS charged_at - INTERVAL '1' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'fraud-alerts',
  'properties.group.id' = 'fraud-alerts-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

INSERT INTO fraud_alerts
SELECT card, first_probe, probes, charged_at, amount
FROM payments
MATCH_RECOGNIZE (
  PARTITION BY card
  ORDER BY paid_at
  MEASURES
    FIRST(probe.paid_at) AS first_probe,
    COUNT(probe.amount) AS probes,
    charge.paid_at AS charged_at,
    charge.amount AS amount
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (probe+ charge) WITHIN INTERVAL '10' MINUTE
  DEFINE
    probe AS probe.amount < 2,
    charge AS charge.amount > 500
);

SELECT * FROM fraud_alerts ORDER BY charged_at;
