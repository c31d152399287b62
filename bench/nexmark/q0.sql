-- pass-through
CREATE TABLE snk (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3), extra STRING) WITH (${SINK});
INSERT INTO snk SELECT auction, bidder, price, `dateTime`, extra FROM bid;
