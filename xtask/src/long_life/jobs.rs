//! The jobs of the long-life test: name, columns of the result, and query.

/// A job in the script.
pub struct Job {
    pub name: &'static str,
    pub columns: &'static str,
    pub query: &'static str,
    /// A query that gives the same rows in batch mode, where that has no such windows or joins.
    pub in_batch_mode: Option<&'static str>,
}

const fn job(name: &'static str, columns: &'static str, query: &'static str) -> Job {
    Job {
        name,
        columns,
        query,
        in_batch_mode: None,
    }
}

const fn otherwise(job: Job, in_batch_mode: &'static str) -> Job {
    Job {
        in_batch_mode: Some(in_batch_mode),
        ..job
    }
}

/// Every kind of operator with state. `live` has rows by key in the order of time, `prices` is a table of upserts and
/// `prices_log` its changes.
pub const JOBS: &[Job] = &[
    job(
        "tumble",
        "k STRING, w TIMESTAMP(3), n BIGINT, s BIGINT, lo STRING, hi STRING",
        "SELECT k, window_end, COUNT(*), SUM(v), MIN(s), MAX(s) FROM TUMBLE(TABLE live, DESCRIPTOR(ts), \
              INTERVAL '2' SECOND) GROUP BY k, window_start, window_end",
    ),
    job(
        "tumble_distinct",
        "w TIMESTAMP(3), n BIGINT, m BIGINT",
        "SELECT window_end, COUNT(DISTINCT k), COUNT(DISTINCT v) FROM TUMBLE(TABLE live, DESCRIPTOR(ts), \
              INTERVAL '1' SECOND) GROUP BY window_start, window_end",
    ),
    job(
        "hop",
        "k STRING, w TIMESTAMP(3), n BIGINT, s STRING",
        "SELECT k, window_end, COUNT(*), MAX(s) FROM HOP(TABLE live, DESCRIPTOR(ts), INTERVAL '1' SECOND, \
              INTERVAL '4' SECOND) GROUP BY k, window_start, window_end",
    ),
    job(
        "cumulate",
        "k STRING, w TIMESTAMP(3), n BIGINT, v BIGINT",
        "SELECT k, window_end, COUNT(*), SUM(v) FROM CUMULATE(TABLE live, DESCRIPTOR(ts), INTERVAL '1' \
              SECOND, INTERVAL '4' SECOND) GROUP BY k, window_start, window_end",
    ),
    otherwise(
        job(
            "session",
            "k STRING, a TIMESTAMP(3), w TIMESTAMP(3), n BIGINT, s STRING",
            "SELECT k, window_start, window_end, COUNT(*), MIN(s) FROM SESSION(TABLE live PARTITION BY k, \
              DESCRIPTOR(ts), INTERVAL '1' SECOND) GROUP BY k, window_start, window_end",
        ),
        "SELECT k, MIN(ts), MAX(ts) + INTERVAL '1' SECOND, COUNT(*), MIN(s) FROM (SELECT *, SUM(f) OVER \
              (PARTITION BY k ORDER BY ts ROWS UNBOUNDED PRECEDING) AS g FROM (SELECT *, CASE WHEN LAG(ts) \
              OVER (PARTITION BY k ORDER BY ts) >= ts - INTERVAL '1' SECOND THEN 0 ELSE 1 END AS f FROM live)) \
              GROUP BY k, g",
    ),
    job(
        "window_top",
        "k STRING, w TIMESTAMP(3), v BIGINT, id BIGINT, r BIGINT",
        "SELECT k, window_end, v, id, r FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, \
              window_end ORDER BY v DESC, id) AS r FROM TUMBLE(TABLE live, DESCRIPTOR(ts), INTERVAL '1' \
              SECOND)) WHERE r <= 3",
    ),
    job(
        "window_last",
        "k STRING, w TIMESTAMP(3), id BIGINT",
        "SELECT k, window_end, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, \
              window_end, k ORDER BY ts DESC) AS r FROM TUMBLE(TABLE live, DESCRIPTOR(ts), INTERVAL '2' \
              SECOND)) WHERE r = 1",
    ),
    job(
        "window_join",
        "k STRING, w TIMESTAMP(3), a BIGINT, b BIGINT",
        "SELECT l.k, l.window_end, l.id, r.id FROM (SELECT * FROM TUMBLE(TABLE live, DESCRIPTOR(ts), \
              INTERVAL '1' SECOND)) l JOIN (SELECT * FROM TUMBLE(TABLE prices_log, DESCRIPTOR(ts), INTERVAL \
              '1' SECOND)) r ON l.k = r.k AND l.window_start = r.window_start AND l.window_end = r.window_end",
    ),
    job(
        "grouped",
        "k STRING, n BIGINT, v BIGINT, s STRING",
        "SELECT k, COUNT(*), SUM(v), MAX(s) FROM live GROUP BY k",
    ),
    job(
        "groups_distinct",
        "g BIGINT, n BIGINT, m BIGINT",
        "SELECT v / 100, COUNT(DISTINCT k), COUNT(DISTINCT s) FILTER (WHERE v > 500) FROM live GROUP BY v \
              / 100",
    ),
    job(
        "collected",
        "k STRING, a STRING",
        "SELECT k, LISTAGG(CAST(id AS STRING)) FROM live WHERE v < 100 GROUP BY k",
    ),
    job(
        "of_groups",
        "n BIGINT, m BIGINT",
        "SELECT n, COUNT(*) FROM (SELECT k, COUNT(*) AS n FROM live GROUP BY k) GROUP BY n",
    ),
    job(
        "sets",
        "a BIGINT, b BIGINT, n BIGINT",
        "SELECT v / 500, v / 100, COUNT(*) FROM live GROUP BY ROLLUP (v / 500, v / 100)",
    ),
    job(
        "top",
        "k STRING, v BIGINT, id BIGINT, r BIGINT",
        "SELECT k, v, id, r FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS r \
              FROM live) WHERE r <= 3",
    ),
    job(
        "top_groups",
        "k STRING, n BIGINT, r BIGINT",
        "SELECT k, n, r FROM (SELECT k, n, ROW_NUMBER() OVER (ORDER BY n DESC, k) AS r FROM (SELECT k, \
              COUNT(*) AS n FROM live GROUP BY k)) WHERE r <= 5",
    ),
    job(
        "first_rows",
        "k STRING, v BIGINT, id BIGINT",
        "SELECT k, v, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, v ORDER BY ts) AS r FROM \
              live) WHERE r = 1",
    ),
    job(
        "last_rows",
        "k STRING, id BIGINT, s STRING",
        "SELECT k, id, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS r FROM \
              live) WHERE r = 1",
    ),
    job(
        "joined",
        "k STRING, n BIGINT, p BIGINT",
        "SELECT c.k, c.n, p.p FROM (SELECT k, COUNT(*) AS n FROM live GROUP BY k) c JOIN prices p ON c.k \
              = p.k",
    ),
    job(
        "left_joined",
        "id BIGINT, k STRING, n BIGINT",
        "SELECT a.id, a.k, b.n FROM (SELECT * FROM live WHERE v < 50) a LEFT JOIN (SELECT k, COUNT(*) AS \
              n FROM live WHERE v > 900 GROUP BY k) b ON a.k = b.k",
    ),
    job(
        "full_joined",
        "k STRING, n BIGINT, m BIGINT",
        "SELECT COALESCE(a.k, b.k), a.n, b.n FROM (SELECT k, COUNT(*) AS n FROM live WHERE v < 8 GROUP BY \
              k) a FULL JOIN (SELECT k, COUNT(*) AS n FROM live WHERE v > 990 GROUP BY k) b ON a.k = b.k",
    ),
    job(
        "semi_joined",
        "id BIGINT, k STRING",
        "SELECT id, k FROM live WHERE v < 100 AND k IN (SELECT k FROM live WHERE v > 995)",
    ),
    job(
        "anti_joined",
        "id BIGINT, k STRING",
        "SELECT id, k FROM live a WHERE v < 100 AND NOT EXISTS (SELECT 1 FROM live b WHERE b.k = a.k AND \
              b.v > 990)",
    ),
    job(
        "intervals",
        "k STRING, a BIGINT, b BIGINT",
        "SELECT a.k, a.id, b.id FROM live a JOIN live b ON a.k = b.k AND b.ts BETWEEN a.ts - INTERVAL '1' \
              SECOND AND a.ts AND a.id <> b.id",
    ),
    job(
        "interval_left",
        "k STRING, a BIGINT, b BIGINT",
        "SELECT a.k, a.id, b.id FROM live a LEFT JOIN prices_log b ON a.k = b.k AND b.ts BETWEEN a.ts AND \
              a.ts + INTERVAL '1' SECOND",
    ),
    otherwise(
        job(
            "temporal",
            "k STRING, id BIGINT, p BIGINT",
            "SELECT e.k, e.id, p.p FROM live e LEFT JOIN prices FOR SYSTEM_TIME AS OF e.ts AS p ON e.k = p.k",
        ),
        "SELECT e.k, e.id, p.p FROM live e LEFT JOIN (SELECT k, p, ts, LEAD(ts) OVER (PARTITION BY k \
              ORDER BY ts) AS until FROM prices_all) p ON e.k = p.k AND e.ts >= p.ts AND (p.until IS NULL OR \
              e.ts < p.until)",
    ),
    job(
        "over_range",
        "k STRING, id BIGINT, n BIGINT, s STRING",
        "SELECT k, id, COUNT(*) OVER w, MAX(s) OVER w FROM live WINDOW w AS (PARTITION BY k ORDER BY ts \
              RANGE BETWEEN INTERVAL '2' SECOND PRECEDING AND CURRENT ROW)",
    ),
    job(
        "over_rows",
        "k STRING, id BIGINT, n BIGINT",
        "SELECT k, id, SUM(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) \
              FROM live",
    ),
    job(
        "over_all",
        "k STRING, id BIGINT, n BIGINT, s STRING",
        "SELECT k, id, COUNT(*) OVER (PARTITION BY k ORDER BY ts), MIN(s) OVER (PARTITION BY k ORDER BY \
              ts) FROM live",
    ),
    job(
        "lagged",
        "k STRING, id BIGINT, s STRING",
        "SELECT k, id, LAG(s, 2) OVER (PARTITION BY k ORDER BY ts) FROM live",
    ),
    job(
        "patterns",
        "k STRING, a BIGINT, b BIGINT",
        "SELECT k, a, b FROM live MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES FIRST(A.id) AS a, \
              B.id AS b ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW PATTERN (A+ B) DEFINE A AS A.v < 500, \
              B AS B.v > 800)",
    ),
    job(
        "unnested",
        "word STRING, n BIGINT",
        "SELECT w, COUNT(*) FROM live CROSS JOIN UNNEST(ARRAY[k, CAST(v / 10 AS STRING)]) AS t (w) GROUP \
              BY w",
    ),
    job(
        "upserts",
        "g BIGINT, n BIGINT, p BIGINT",
        "SELECT p / 100, COUNT(*), SUM(p) FROM prices WHERE k LIKE 'key%' GROUP BY p / 100",
    ),
    job(
        "united",
        "k STRING, x BIGINT",
        "SELECT k, v FROM live WHERE v < 100 UNION ALL SELECT k, p FROM prices_log",
    ),
    job(
        "in_both",
        "k STRING",
        "SELECT k FROM live WHERE v < 5 INTERSECT SELECT k FROM live WHERE v > 990",
    ),
    job(
        "ordered",
        "k STRING, id BIGINT",
        "SELECT k, id FROM live ORDER BY ts",
    ),
    job(
        "copies",
        "k STRING, id BIGINT, v BIGINT, s STRING",
        "SELECT k, id, v, s FROM live",
    ),
    job(
        "price_copies",
        "k STRING, id BIGINT, p BIGINT",
        "SELECT k, id, p FROM prices_log",
    ),
];
