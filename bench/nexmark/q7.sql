-- highest bid of every 10 s window, joined back to the bids
CREATE TABLE snk (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3), extra STRING) WITH (${SINK});
INSERT INTO snk SELECT b.auction, b.bidder, b.price, b.`dateTime`, b.extra FROM bid b
JOIN (SELECT MAX(price) AS maxprice, window_end AS we
      FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
      GROUP BY window_start, window_end) m
ON b.price = m.maxprice AND b.`dateTime` BETWEEN m.we - INTERVAL '10' SECOND AND m.we;
