-- bids per user session (10 s gap)
CREATE TABLE snk (bidder BIGINT, bid_count BIGINT, starttime TIMESTAMP(3), endtime TIMESTAMP(3)) WITH (${SINK});
INSERT INTO snk SELECT bidder, COUNT(*), SESSION_START(`dateTime`, INTERVAL '10' SECOND), SESSION_END(`dateTime`, INTERVAL '10' SECOND)
FROM bid GROUP BY bidder, SESSION(`dateTime`, INTERVAL '10' SECOND);
