-- selection of some auctions
CREATE TABLE snk (auction BIGINT, price BIGINT) WITH (${SINK});
INSERT INTO snk SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0;
