//! Language constructs besides functions: the parser and the binder handle them, so no registry lists them. They are
//! declared here for the reference and `HELP`; a test binds every example.

/// A form of an expression or of a table in FROM.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Its syntax.
    pub syntax: &'static str,
    /// Its result.
    pub doc: &'static str,
    /// A query that uses it, over `t (id INT, name STRING, list ARRAY<INT>, ts TIMESTAMP(3))` with a watermark on `ts`.
    pub example: &'static str,
}

/// Forms of expressions.
pub const EXPRESSIONS: &[Form] = &[
    Form {
        syntax: "a AND b, a OR b",
        doc: "Three-valued logic: UNKNOWN where the other side does not decide.",
        example: "SELECT id > 1 AND id < 9 OR name IS NULL FROM t",
    },
    Form {
        syntax: "a [NOT] BETWEEN [ASYMMETRIC | SYMMETRIC] low AND high",
        doc: "Whether the value lies between the bounds, both included; SYMMETRIC takes them in either order.",
        example: "SELECT id BETWEEN 1 AND 9 FROM t",
    },
    Form {
        syntax: "CASE value WHEN v1 [, v2]* THEN result [WHEN …]* [ELSE result] END",
        doc: "The result of the first equal value; NULL without ELSE.",
        example: "SELECT CASE id WHEN 1 THEN 'one' ELSE 'many' END FROM t",
    },
    Form {
        syntax: "CASE WHEN condition THEN result [WHEN …]* [ELSE result] END",
        doc: "The result of the first condition that is TRUE; NULL without ELSE.",
        example: "SELECT CASE WHEN id > 1 THEN 'many' END FROM t",
    },
    Form {
        syntax: "CAST(value AS type)",
        doc: "The value in another type; one that cannot be cast fails the job.",
        example: "SELECT CAST(id AS STRING) FROM t",
    },
    Form {
        syntax: "TRY_CAST(value AS type)",
        doc: "The value in another type, or NULL if it cannot be cast.",
        example: "SELECT TRY_CAST(name AS INT) FROM t",
    },
    Form {
        syntax: "[NOT] EXISTS (query)",
        doc: "Whether the query has a row.",
        example: "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.id = t.id)",
    },
    Form {
        syntax: "a [NOT] IN (query)",
        doc: "Whether the value is among the query's; NULL if it is not and one of them is NULL.",
        example: "SELECT id FROM t WHERE id IN (SELECT id FROM t)",
    },
    Form {
        syntax: "GROUPING(key), GROUPING_ID(key1 [, key2]*)",
        doc: "With grouping sets: which of the keys the row's set leaves out, as bits.",
        example: "SELECT id, GROUPING(id) FROM t GROUP BY ROLLUP (id)",
    },
];

/// Forms of tables in FROM.
pub const TABLES: &[Form] = &[
    Form {
        syntax: "TUMBLE(TABLE t, DESCRIPTOR(time), size [, offset])",
        doc: "Rows with the window of fixed size they belong to, in window_start, window_end and window_time.",
        example: "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
    },
    Form {
        syntax: "HOP(TABLE t, DESCRIPTOR(time), slide, size [, offset])",
        doc: "Rows once for each window of fixed size that begins every slide and has them.",
        example: "SELECT window_start, COUNT(*) FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
    },
    Form {
        syntax: "CUMULATE(TABLE t, DESCRIPTOR(time), step, size [, offset])",
        doc: "Rows once for each window that begins with the size's window and grows by steps.",
        example: "SELECT window_start, COUNT(*) FROM TABLE(CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
    },
    Form {
        syntax: "SESSION(TABLE t [PARTITION BY keys], DESCRIPTOR(time), gap)",
        doc: "Rows with the window of rows that are less than the gap apart.",
        example: "SELECT window_start, id, COUNT(*) FROM TABLE(SESSION(TABLE t PARTITION BY id, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, id",
    },
    Form {
        syntax: "UNNEST(collection) [WITH ORDINALITY]",
        doc: "A row for each element of an array or multiset, or each entry of a map.",
        example: "SELECT id, item FROM t CROSS JOIN UNNEST(t.list) AS u (item)",
    },
];
