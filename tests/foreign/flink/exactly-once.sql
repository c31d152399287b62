SET 'execution.checkpointing.interval' = '2s';
SET 'execution.checkpointing.externalized-checkpoint-retention' = 'RETAIN_ON_CANCELLATION';
SET 'execution.checkpointing.dir' = 'file://@DIRECTORY@';
SET 'restart-strategy.type' = 'fixed-delay';
SET 'restart-strategy.fixed-delay.attempts' = '1000';
SET 'restart-strategy.fixed-delay.delay' = '2s';
CREATE TABLE numbers (v INT) WITH (
  'connector' = 'kafka', 'topic' = 'streams-in', 'properties.bootstrap.servers' = '@BROKER@',
  'properties.group.id' = 'flink-walk', 'scan.startup.mode' = 'earliest-offset', 'format' = 'csv'
);
CREATE TABLE copies (v INT) WITH (
  'connector' = 'kafka', 'topic' = 'streams-out', 'properties.bootstrap.servers' = '@BROKER@', 'format' = 'csv',
  'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'flink-walk',
  'sink.transaction-naming-strategy' = '@NAMING@', 'properties.transaction.timeout.ms' = '600000'
);
INSERT INTO copies SELECT v FROM numbers;
