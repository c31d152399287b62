-- who sells category 10 in three states: regular join
CREATE TABLE snk (name STRING, city STRING, state STRING, id BIGINT) WITH (${SINK});
INSERT INTO snk SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');
