-- bids per user in processing-time windows
CREATE TABLE snk (bidder BIGINT, bid_count BIGINT, starttime TIMESTAMP(3), endtime TIMESTAMP(3)) WITH (${SINK});
CREATE VIEW bidp AS SELECT *, PROCTIME() AS p_time FROM bid;
INSERT INTO snk SELECT bidder, COUNT(*), window_start, window_end
FROM TABLE(TUMBLE(TABLE bidp, DESCRIPTOR(p_time), INTERVAL '10' SECOND)) GROUP BY bidder, window_start, window_end;
