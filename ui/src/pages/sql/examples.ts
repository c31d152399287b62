// Examples that run as they are: their data comes from the datagen connector.
export interface Example { title: string; about: string; sql: string }

const ORDERS = `CREATE TABLE IF NOT EXISTS orders (
  order_id BIGINT,
  customer INT,
  amount DECIMAL(8, 2),
  ordered_at AS LOCALTIMESTAMP,
  WATERMARK FOR ordered_at AS ordered_at - INTERVAL '1' SECOND
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '20',
  'fields.order_id.kind' = 'sequence',
  'fields.order_id.start' = '1',
  'fields.order_id.end' = '1000000000',
  'fields.customer.min' = '1',
  'fields.customer.max' = '8',
  'fields.amount.min' = '1',
  'fields.amount.max' = '500'
);
`;

export const EXAMPLES: Example[] = [
  { title: "Hello", about: "One row, at once.", sql: "SELECT 'Hello' AS greeting, CURRENT_TIMESTAMP AS at_time;\n" },
  { title: "A live stream", about: "Generated orders as they come.", sql: `${ORDERS}
SELECT * FROM orders;
` },
  { title: "Running totals", about: "Each customer's sum, updated in place.", sql: `${ORDERS}
SELECT customer, COUNT(*) AS orders, SUM(amount) AS total, MAX(amount) AS largest
FROM orders
GROUP BY customer;
` },
  { title: "Windows", about: "Revenue of every five seconds of event time.", sql: `${ORDERS}
SELECT window_start, window_end, COUNT(*) AS orders, SUM(amount) AS revenue
FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ordered_at), INTERVAL '5' SECOND))
GROUP BY window_start, window_end;
` },
  { title: "Top three", about: "The three customers with the largest totals.", sql: `${ORDERS}
SELECT ranking, customer, total FROM (
  SELECT *, ROW_NUMBER() OVER (ORDER BY total DESC) AS ranking
  FROM (SELECT customer, SUM(amount) AS total FROM orders GROUP BY customer)
) WHERE ranking <= 3;
` },
  { title: "A job into Kafka", about: "Starts a job that fills the topic large-orders.", sql: `${ORDERS}
CREATE TABLE IF NOT EXISTS large_orders (
  order_id BIGINT,
  customer INT,
  amount DECIMAL(8, 2)
) WITH (
  'connector' = 'kafka',
  'topic' = 'large-orders',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

SET 'pipeline.name' = 'large orders';

INSERT INTO large_orders
SELECT order_id, customer, amount FROM orders WHERE amount > 400;
` },
  { title: "Explain", about: "The plan of a query as a graph.", sql: `${ORDERS}
EXPLAIN SELECT customer, COUNT(*) AS orders, SUM(amount) AS total
FROM orders
WHERE amount > 10
GROUP BY customer;
` },
];
