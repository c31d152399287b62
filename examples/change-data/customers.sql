-- Change data: the changes of a database table, as Debezium writes them, become a compacted topic with the current rows.
--
--   millstream run examples/change-data/customers.sql

SET 'table.dml-sync' = 'true';

SET 'parallelism.default' = '1';

-- Debezium's messages, byte by byte: the file, and the topic.
CREATE TABLE changes_file (message STRING) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/change-data/customers.jsonl',
  'format' = 'raw'
);

CREATE TABLE changes_raw (message STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'inventory.customers',
  'format' = 'raw'
);

INSERT INTO changes_raw SELECT message FROM changes_file;

-- The same topic, read as changes: rows that are inserted, updated and deleted.
CREATE TABLE customer_changes (
  id INT, name STRING, country STRING, plan STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'kafka',
  'topic' = 'inventory.customers',
  'properties.group.id' = 'customers',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'debezium-json'
);

CREATE TABLE customers (
  id INT, name STRING, country STRING, plan STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'customers',
  'scan.bounded.mode' = 'latest-offset',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO customers SELECT * FROM customer_changes;

-- What the topic holds: the key of each record, and the row or, once it is deleted, a tombstone.
CREATE TABLE customers_records (record_key STRING, record_value STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'customers',
  'properties.group.id' = 'customers-report',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = 'group-offsets',
  'scan.bounded.mode' = 'latest-offset',
  'key.format' = 'raw',
  'key.fields' = 'record_key',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY'
);

SELECT * FROM customers_records;
