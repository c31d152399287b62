//! The support for each of Flink's statements and hints, declared once: the binder checks hints against it, and the
//! reference prints it.

/// The level of support.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// Same as Flink.
    Works,
    /// Different from Flink; the note says how.
    Differs,
    /// Validated, but without effect because nothing here needs it.
    NoEffect,
    /// Rejected with an error that names it.
    Refused,
}

impl Support {
    pub fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Differs => "differs",
            Self::NoEffect => "no effect",
            Self::Refused => "refused",
        }
    }
}

/// A statement, a clause or a hint.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub support: Support,
    pub note: &'static str,
}

const fn entry(name: &'static str, support: Support, note: &'static str) -> Entry {
    Entry { name, support, note }
}

/// The hints that Flink registers. All others are rejected.
pub const HINTS: &[Entry] = &[
    entry("OPTIONS", Support::Works, "Options of a table for one query."),
    entry(
        "STATE_TTL",
        Support::Works,
        "Time to live of the state of joins and aggregates.",
    ),
    entry("LOOKUP", Support::NoEffect, "No connector can be looked up."),
    entry(
        "BROADCAST",
        Support::NoEffect,
        "Joins run in one process: every instance sees both sides.",
    ),
    entry("SHUFFLE_HASH", Support::NoEffect, "Joins are hash joins."),
    entry("SHUFFLE_MERGE", Support::NoEffect, "Joins are hash joins."),
    entry("NEST_LOOP", Support::NoEffect, "Joins are hash joins."),
    entry("MULTI_JOIN", Support::NoEffect, "Joins have two inputs."),
];

/// Statements and clauses.
pub const STATEMENTS: &[Entry] = &[
    entry(
        "SELECT, WITH, VALUES",
        Support::Works,
        "In batch and streaming mode.",
    ),
    entry(
        "QUALIFY",
        Support::Works,
        "By columns and by names of the SELECT list.",
    ),
    entry("UNION, INTERSECT, EXCEPT [ALL]", Support::Works, "In both modes."),
    entry(
        "joins: regular, interval, temporal, window",
        Support::Works,
        "Inner and outer, as in Flink.",
    ),
    entry("lookup join", Support::Refused, "No connector can be looked up."),
    entry(
        "MATCH_RECOGNIZE",
        Support::Works,
        "What Flink supports of the standard.",
    ),
    entry(
        "window table functions",
        Support::Works,
        "TUMBLE, HOP, CUMULATE, SESSION; SESSION in streaming mode, as in Flink.",
    ),
    entry(
        "PTF, ML_PREDICT, VECTOR_SEARCH",
        Support::Refused,
        "There are no user functions and no models.",
    ),
    entry(
        "INSERT INTO, INSERT OVERWRITE",
        Support::Works,
        "With column lists, partitions and ON CONFLICT.",
    ),
    entry(
        "EXECUTE STATEMENT SET",
        Support::Differs,
        "INSERTs only: CREATE TABLE AS is refused in a statement set.",
    ),
    entry(
        "UPDATE, DELETE, TRUNCATE TABLE",
        Support::Refused,
        "No connector can change rows in place, as in Flink's own.",
    ),
    entry(
        "CALL",
        Support::Refused,
        "The catalog has no procedures, as Flink's in-memory catalog.",
    ),
    entry(
        "CREATE, ALTER, DROP of catalogs, databases, tables, views",
        Support::Works,
        "The catalog is in memory.",
    ),
    entry(
        "CREATE TABLE AS, REPLACE TABLE AS",
        Support::Works,
        "With column lists, keys, partitions and watermarks.",
    ),
    entry(
        "CREATE, ALTER, DROP FUNCTION",
        Support::Differs,
        "Functions can be declared, but Java and Python classes cannot be loaded.",
    ),
    entry(
        "CREATE, ALTER, DROP MODEL",
        Support::Differs,
        "Models can be declared, and no function uses them.",
    ),
    entry(
        "CREATE MATERIALIZED TABLE",
        Support::Refused,
        "Use INSERT INTO with a named job.",
    ),
    entry(
        "CREATE CONNECTION",
        Support::Refused,
        "Connectors take their options from the table.",
    ),
    entry(
        "ANALYZE TABLE",
        Support::NoEffect,
        "Checked; plans are made without statistics.",
    ),
    entry(
        "COMPILE PLAN, EXECUTE PLAN",
        Support::Differs,
        "With an own file format: plans of Flink cannot be executed.",
    ),
    entry(
        "EXPLAIN",
        Support::Differs,
        "ESTIMATED_COST estimates nothing; PLAN_ADVICE names state that only grows.",
    ),
    entry("DESCRIBE, SHOW", Support::Works, "SHOW JARS is empty."),
    entry("SET, RESET", Support::Works, "See the settings below."),
    entry(
        "USE, LOAD MODULE, UNLOAD MODULE",
        Support::Works,
        "The only module is `core`.",
    ),
    entry(
        "ADD JAR, REMOVE JAR",
        Support::Refused,
        "Connectors and formats are part of the program.",
    ),
    entry("SHOW JOBS, STOP JOB", Support::Works, "Jobs of this process."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_is_declared_once() {
        let mut names: Vec<&str> = HINTS.iter().map(|hint| hint.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), HINTS.len());
    }
}
