//! The shapes of generated queries. Conditions, aggregates and clauses are drawn from lists that hold for the two tables.

use millstream_types::Rng;

use super::queries::Query;

fn pick(rng: &dyn Rng, choices: &[&str]) -> String {
    choices[rng.below(choices.len() as u64) as usize].to_owned()
}

const SCALARS: [&str; 14] = [
    "id",
    "k",
    "v",
    "d",
    "g",
    "f",
    "v + id",
    "v * d",
    "COALESCE(k, 'none')",
    "CASE WHEN v > 1 THEN k ELSE 'other' END",
    "UPPER(k)",
    "CAST(d AS INT)",
    "d / 3",
    "CAST(v AS STRING) || k",
];
const AGGREGATES: [&str; 32] = [
    "LISTAGG(k)",
    "LISTAGG(DISTINCT k, ';')",
    "FIRST_VALUE(v)",
    "LAST_VALUE(k)",
    "ARRAY_AGG(v)",
    "COLLECT(k)",
    "STDDEV_SAMP(v)",
    "VAR_POP(d)",
    "MAX(f)",
    "COUNT(DISTINCT v)",
    "COUNT(*)",
    "COUNT(v)",
    "COUNT(DISTINCT k)",
    "COUNT(DISTINCT v) FILTER (WHERE f)",
    "SUM(v)",
    "SUM(d)",
    "SUM(DISTINCT v)",
    "AVG(v)",
    "AVG(d)",
    "AVG(g)",
    "MIN(k)",
    "MAX(k)",
    "MIN(ts)",
    "MAX(d)",
    "SUM(v) FILTER (WHERE f)",
    "STDDEV_POP(v)",
    "VAR_SAMP(d)",
    "MIN(v) FILTER (WHERE k = 'x')",
    "MAX(g)",
    "SUM(g)",
    "COUNT(f)",
    "AVG(DISTINCT v)",
];
const CONDITIONS: [&str; 16] = [
    "v > 0",
    "k = 'x'",
    "k IS NOT NULL",
    "d < 20",
    "f",
    "NOT f",
    "v IN (1, 2, 3)",
    "k LIKE '%x%'",
    "g BETWEEN -2 AND 3",
    "id < 10",
    "v IS NULL",
    "k <> ''",
    "v NOT IN (0, 1)",
    "(v > 1 OR f IS NULL)",
    "k IS DISTINCT FROM 'y'",
    "d IS NOT NULL",
];

fn several(rng: &dyn Rng, choices: &[&str], least: u64, most: u64) -> Vec<String> {
    let count = least + rng.below(most - least + 1);
    let mut found: Vec<String> = (0..count).map(|_| pick(rng, choices)).collect();
    found.dedup();
    found
}

pub(super) fn query(rng: &dyn Rng, in_batch: bool) -> Query {
    match rng.below(20) {
        0 => projection(rng),
        1 => {
            let mut query = grouped(rng);
            query.shape = "global aggregate";
            query.keys.clear();
            query.having = None;
            query
        }
        2 | 3 => grouped(rng),
        4 => windowed(rng),
        5 => joined(rng),
        6 => semi_joined(rng),
        7 => ranked(rng),
        8 => united(rng),
        9 | 10 => over(rng, in_batch),
        11 | 12 => nested(rng),
        13 => grouping_sets(rng),
        14 => joined_aggregates(rng),
        15 => set_operation(rng),
        16 => interval_join(rng),
        17 => window_top(rng),
        18 => group_window(rng, in_batch),
        _ => window_join(rng),
    }
}

fn united(rng: &dyn Rng) -> Query {
    let (mut left, mut right) = (grouped(rng), grouped(rng));
    left.shape = "union";
    left.operator = "UNION ALL";
    left.items = vec!["COUNT(*)".to_owned(), "SUM(v)".to_owned()];
    right.items = left.items.clone();
    (left.keys, right.keys) = (vec!["k".to_owned()], vec!["k".to_owned()]);
    right.from = "b".to_owned();
    left.union = Some(Box::new(right));
    left
}

fn over(rng: &dyn Rng, in_batch: bool) -> Query {
    let partition = pick(rng, &["", "PARTITION BY k ", "PARTITION BY f "]);
    let order = if in_batch {
        pick(rng, &["ts, id", "v, id", "id DESC"])
    } else {
        "ts".to_owned()
    };
    let frames = [
        "",
        " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
        " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    ];
    let frame = pick(rng, &frames);
    let aggregates = [
        "SUM(v)",
        "COUNT(*)",
        "AVG(d)",
        "MIN(k)",
        "MAX(g)",
        "COUNT(v)",
        "FIRST_VALUE(v)",
        "LAST_VALUE(k)",
    ];
    let numbers = [
        "ROW_NUMBER()",
        "RANK()",
        "DENSE_RANK()",
        "LAG(v)",
        "LEAD(k, 2)",
        "NTILE(3)",
        "CUME_DIST()",
        "LAG(v, 2, -1)",
    ];
    let window = format!("OVER ({partition}ORDER BY {order}{frame})");
    let mut items: Vec<String> = several(rng, &aggregates, 1, 3)
        .into_iter()
        .map(|aggregate| format!("{aggregate} {window}"))
        .collect();
    if in_batch && rng.below(2) == 0 {
        items.push(format!(
            "{} OVER ({partition}ORDER BY {order})",
            pick(rng, &numbers)
        ));
    }
    items.insert(0, "id".to_owned());
    Query {
        shape: "over",
        from: "a".to_owned(),
        items,
        conditions: several(rng, &CONDITIONS, 0, 1),
        ..Query::default()
    }
}

/// Aggregates, Top-N and joins over rows that change.
fn nested(rng: &dyn Rng) -> Query {
    let inner = pick(rng, &["k", "v", "f", "MOD(id, 4)"]);
    let value = pick(
        rng,
        &[
            "COUNT(*)",
            "SUM(v)",
            "MAX(d)",
            "MIN(id)",
            "AVG(v)",
            "COUNT(DISTINCT f)",
        ],
    );
    let from = format!("(SELECT {inner} AS x, {value} AS y, COUNT(*) AS z FROM a GROUP BY {inner}) t");
    let outer = pick(rng, &["y", "z", "z > 2", "y IS NULL"]);
    let aggregates = [
        "COUNT(*)",
        "SUM(y)",
        "MIN(x)",
        "MAX(x)",
        "AVG(z)",
        "COUNT(DISTINCT x)",
        "MAX(z)",
        "STDDEV_POP(z)",
        "MIN(y)",
    ];
    let conditions = ["z > 1", "y > 2", "x IS NOT NULL", "z IN (1, 2, 3)", "y < 20"];
    Query {
        shape: "nested aggregate",
        from,
        keys: if rng.below(4) == 0 {
            Vec::new()
        } else {
            vec![outer]
        },
        items: several(rng, &aggregates, 1, 3),
        conditions: several(rng, &conditions, 0, 1),
        having: (rng.below(4) == 0).then(|| "COUNT(*) > 1".to_owned()),
        ..Query::default()
    }
}

fn grouping_sets(rng: &dyn Rng) -> Query {
    let sets = [
        "ROLLUP (k, f)",
        "CUBE (k, f)",
        "GROUPING SETS ((k), (f), ())",
        "GROUPING SETS ((k, f), (k))",
    ];
    let sets = pick(rng, &sets);
    let aggregates = several(rng, &AGGREGATES, 1, 2).join(", ");
    Query {
        shape: "grouping sets",
        from: format!(
            "(SELECT k, f, GROUPING(k) AS g1, GROUPING_ID(k, f) AS g2, {aggregates} FROM a GROUP BY {sets})"
        ),
        items: vec!["*".to_owned()],
        ..Query::default()
    }
}

fn joined_aggregates(rng: &dyn Rng) -> Query {
    let kind = pick(rng, &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    let items = ["a.id", "a.k", "t.s", "t.c", "a.v + t.c", "COALESCE(t.s, -1)"];
    Query {
        shape: "join of an aggregate",
        from: format!("a {kind} (SELECT k, SUM(v) AS s, COUNT(*) AS c FROM b GROUP BY k) t ON a.k = t.k"),
        items: several(rng, &items, 2, 4),
        conditions: several(rng, &["t.c > 1", "a.v > 0", "t.s IS NOT NULL", "a.id < 9"], 0, 1),
        ..Query::default()
    }
}

fn set_operation(rng: &dyn Rng) -> Query {
    let operators = [
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "INTERSECT ALL",
        "EXCEPT ALL",
        "UNION ALL",
    ];
    let items = several(rng, &["k", "v", "f", "v > 1", "COALESCE(k, 'none')"], 1, 3);
    let side = |from: &str| Query {
        shape: "set operation",
        from: from.to_owned(),
        items: items.clone(),
        conditions: several(rng, &CONDITIONS, 0, 1),
        ..Query::default()
    };
    Query {
        operator: operators[rng.below(operators.len() as u64) as usize],
        union: Some(Box::new(side("b"))),
        ..side("a")
    }
}

fn interval_join(rng: &dyn Rng) -> Query {
    let kind = pick(rng, &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    let bounds = pick(
        rng,
        &[
            "a.ts BETWEEN b.ts - INTERVAL '5' SECOND AND b.ts + INTERVAL '5' SECOND",
            "a.ts >= b.ts AND a.ts < b.ts + INTERVAL '10' SECOND",
            "b.ts BETWEEN a.ts - INTERVAL '4' SECOND AND a.ts",
        ],
    );
    Query {
        shape: "interval join",
        from: format!("a {kind} b ON a.k = b.k AND {bounds}"),
        items: several(rng, &["a.id", "b.id", "a.k", "b.v", "a.ts", "a.v"], 2, 4),
        ..Query::default()
    }
}

fn window_top(rng: &dyn Rng) -> Query {
    let window = pick(rng, &WINDOWS);
    let order = pick(rng, &["v DESC, id", "d, id", "id DESC"]);
    Query {
        shape: "window top-n",
        from: format!(
            "(SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY {order}) AS n FROM TABLE({window}))"
        ),
        items: several(rng, &["id", "k", "n", "window_start", "window_time", "v"], 2, 4),
        conditions: vec![pick(rng, &["n <= 2", "n = 1", "n <= 3"])],
        ..Query::default()
    }
}

fn group_window(rng: &dyn Rng, in_batch: bool) -> Query {
    let windows = [
        "TUMBLE(ts, INTERVAL '10' SECOND)",
        "HOP(ts, INTERVAL '5' SECOND, INTERVAL '15' SECOND)",
        "SESSION(ts, INTERVAL '6' SECOND)",
    ];
    // SESSION windows of batch queries differ in what Flink supports.
    let window = pick(rng, if in_batch { &windows[..2] } else { &windows });
    let mut keys = vec![window.clone()];
    if rng.below(2) == 0 {
        keys.push("k".to_owned());
    }
    let bound = window.replacen('(', "_START(", 1);
    let mut items = several(rng, &AGGREGATES, 1, 3);
    items.push(bound);
    let from = format!(
        "(SELECT {} FROM a GROUP BY {})",
        items
            .iter()
            .enumerate()
            .map(|(i, item)| format!("{item} AS w{i}"))
            .collect::<Vec<_>>()
            .join(", "),
        keys.join(", ")
    );
    Query {
        shape: "group window",
        from,
        items: vec!["*".to_owned()],
        ..Query::default()
    }
}

fn window_join(rng: &dyn Rng) -> Query {
    let kind = pick(rng, &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    let side = |table: &str| {
        format!("(SELECT * FROM TABLE(TUMBLE(TABLE {table}, DESCRIPTOR(ts), INTERVAL '10' SECOND)))")
    };
    Query {
        shape: "window join",
        from: format!(
            "{} l {kind} {} r ON l.k = r.k AND l.window_start = r.window_start AND l.window_end = r.window_end",
            side("a"),
            side("b")
        ),
        items: several(
            rng,
            &["l.id", "r.id", "l.k", "r.v", "l.window_start", "r.window_end"],
            2,
            4,
        ),
        ..Query::default()
    }
}

const WINDOWS: [&str; 5] = [
    "TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
    "TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '3' SECOND)",
    "HOP(TABLE a, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)",
    "CUMULATE(TABLE a, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)",
    "TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' MINUTE)",
];

fn projection(rng: &dyn Rng) -> Query {
    Query {
        shape: "projection",
        from: "a".to_owned(),
        items: several(rng, &SCALARS, 1, 4),
        conditions: several(rng, &CONDITIONS, 0, 3),
        distinct: rng.below(3) == 0,
        ..Query::default()
    }
}

fn grouped(rng: &dyn Rng) -> Query {
    let keys = ["k", "v", "f", "MOD(id, 3)", "COALESCE(k, 'none')"];
    let mut keys = several(rng, &keys, 1, 2);
    keys.sort();
    keys.dedup();
    Query {
        shape: "group by",
        from: "a".to_owned(),
        keys,
        items: several(rng, &AGGREGATES, 1, 4),
        conditions: several(rng, &CONDITIONS, 0, 2),
        having: (rng.below(3) == 0).then(|| "COUNT(*) > 1".to_owned()),
        ..Query::default()
    }
}

fn windowed(rng: &dyn Rng) -> Query {
    let window = pick(rng, &WINDOWS);
    let mut keys = vec!["window_start".to_owned(), "window_end".to_owned()];
    if rng.below(2) == 0 {
        keys.push("k".to_owned());
    }
    Query {
        shape: "window",
        from: format!("TABLE({window})"),
        keys,
        items: several(rng, &AGGREGATES, 1, 3),
        conditions: several(rng, &CONDITIONS, 0, 1),
        ..Query::default()
    }
}

fn joined(rng: &dyn Rng) -> Query {
    let kind = pick(rng, &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    let on = pick(
        rng,
        &[
            "a.k = b.k",
            "a.v = b.v",
            "a.id = b.id",
            "a.k = b.k AND a.v < b.v",
            "a.id = b.id AND b.f",
        ],
    );
    let items = [
        "a.id",
        "b.id",
        "a.k",
        "b.v",
        "a.d + b.d",
        "COALESCE(a.k, b.k)",
        "a.v IS NULL",
    ];
    let conditions = ["a.v > 0", "b.k IS NOT NULL", "a.id < 9", "b.d < 20"];
    Query {
        shape: "join",
        from: format!("a {kind} b ON {on}"),
        items: several(rng, &items, 2, 4),
        conditions: several(rng, &conditions, 0, 2),
        ..Query::default()
    }
}

fn semi_joined(rng: &dyn Rng) -> Query {
    let tests = [
        "k IN (SELECT k FROM b)",
        "k NOT IN (SELECT k FROM b WHERE k IS NOT NULL)",
        "v NOT IN (SELECT v FROM b WHERE id < 3)",
        "EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.f)",
        "NOT EXISTS (SELECT 1 FROM b WHERE b.v = a.v)",
        "v > (SELECT AVG(v) FROM b)",
        "v = (SELECT MAX(v) FROM b WHERE b.k = a.k)",
    ];
    Query {
        shape: "sub-query",
        from: "a".to_owned(),
        items: several(rng, &SCALARS, 1, 3),
        conditions: several(rng, &tests, 1, 2),
        ..Query::default()
    }
}

fn ranked(rng: &dyn Rng) -> Query {
    let partition = pick(rng, &["", "PARTITION BY k ", "PARTITION BY v, f "]);
    let order = pick(rng, &["v DESC, id", "d, id", "g DESC, id DESC", "id"]);
    let numbered = format!("(SELECT *, ROW_NUMBER() OVER ({partition}ORDER BY {order}) AS n FROM a)");
    // Of `n = 1` in streaming, Flink retracts no row.
    let range = pick(rng, &["n <= 2", "n < 4", "n BETWEEN 2 AND 3"]);
    Query {
        shape: "top-n",
        from: numbered,
        items: several(rng, &["id", "k", "v", "d", "n"], 2, 4),
        conditions: vec![range],
        ..Query::default()
    }
}
