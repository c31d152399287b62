-- hot items: auctions with the most bids in 10 s windows sliding by 2 s
CREATE TABLE snk (auction BIGINT, num BIGINT) WITH (${SINK});
INSERT INTO snk SELECT c.auction, c.num FROM (
  SELECT auction, COUNT(*) AS num, window_start AS ws, window_end AS we
  FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
  GROUP BY auction, window_start, window_end) c
JOIN (SELECT MAX(num) AS maxn, ws, we FROM (
    SELECT COUNT(*) AS num, window_start AS ws, window_end AS we
    FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
    GROUP BY auction, window_start, window_end) n GROUP BY ws, we) m
ON c.ws = m.ws AND c.we = m.we AND c.num >= m.maxn;
