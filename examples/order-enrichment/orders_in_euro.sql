-- Order enrichment: each order in euro, at the exchange rate of the moment at which it was placed.
--
--   millstream run examples/order-enrichment/orders_in_euro.sql
--
-- Topic `currency-rates` is a versioned table: its key is the currency, each record is valid from its `valid_from`. The
-- temporal join waits until both watermarks have passed an order, so a rate that arrives after the order still counts.

SET 'table.dml-sync' = 'true';

CREATE TABLE orders_file (id INT, amount DECIMAL(8, 2), currency STRING, ordered_at TIMESTAMP(3)) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/order-enrichment/orders.jsonl',
  'format' = 'json'
);

CREATE TABLE rates_file (
  currency STRING, euro DECIMAL(8, 4), valid_from TIMESTAMP(3),
  PRIMARY KEY (currency) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/order-enrichment/rates.jsonl',
  'format' = 'json'
);

CREATE TABLE orders (
  id INT, amount DECIMAL(8, 2), currency STRING, ordered_at TIMESTAMP(3),
  WATERMARK FOR ordered_at AS ordered_at
) WITH (
  'connector' = 'kafka',
  'topic' = 'orders',
  'properties.group.id' = 'orders-in-euro',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

CREATE TABLE currency_rates (
  currency STRING, euro DECIMAL(8, 4), valid_from TIMESTAMP(3),
  WATERMARK FOR valid_from AS valid_from,
  PRIMARY KEY (currency) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'currency-rates',
  'scan.bounded.mode' = 'latest-offset',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO currency_rates SELECT * FROM rates_file;
INSERT INTO orders SELECT * FROM orders_file;

CREATE TABLE orders_in_euro (
  id INT, ordered_at TIMESTAMP(3), amount DECIMAL(8, 2), currency STRING, rate DECIMAL(8, 4), euro DECIMAL(10, 2),
  WATERMARK FOR ordered_at AS ordered_at - INTERVAL '1' DAY
) WITH (
  'connector' = 'kafka',
  'topic' = 'orders-in-euro',
  'properties.group.id' = 'orders-in-euro-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);

-- LEFT JOIN: an order in a currency without a rate yet keeps its place, with NULL as its value.
INSERT INTO orders_in_euro
SELECT o.id, o.ordered_at, o.amount, o.currency, r.euro, CAST(o.amount * r.euro AS DECIMAL(10, 2))
FROM orders AS o
LEFT JOIN currency_rates FOR SYSTEM_TIME AS OF o.ordered_at AS r ON o.currency = r.currency;

SELECT * FROM orders_in_euro ORDER BY ordered_at;
