-- new users who opened auctions in the same 10 s window
CREATE TABLE snk (id BIGINT, name STRING, stime TIMESTAMP(3)) WITH (${SINK});
INSERT INTO snk SELECT p.id, p.name, p.ws FROM (
  SELECT id, name, window_start AS ws, window_end AS we
  FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
  GROUP BY id, name, window_start, window_end) p
JOIN (SELECT seller, window_start AS ws, window_end AS we
      FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
      GROUP BY seller, window_start, window_end) a
ON p.id = a.seller AND p.ws = a.ws AND p.we = a.we;
