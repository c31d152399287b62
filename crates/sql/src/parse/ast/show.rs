//! SHOW and DESCRIBE: statements that look at the catalog.

use super::{Ident, ObjectKind, ObjectName, PartitionSpec, StringLiteral};

/// What SHOW lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ShowStatement {
    Catalogs {
        filter: Option<ShowFilter>,
    },
    CurrentCatalog,
    CurrentDatabase,
    /// `SHOW DATABASES [FROM catalog]`.
    Databases {
        from: Option<ShowScope>,
        filter: Option<ShowFilter>,
    },
    Tables {
        from: Option<ShowScope>,
        filter: Option<ShowFilter>,
    },
    MaterializedTables {
        from: Option<ShowScope>,
        filter: Option<ShowFilter>,
    },
    Views {
        from: Option<ShowScope>,
        filter: Option<ShowFilter>,
    },
    Functions {
        user: bool,
        from: Option<ShowScope>,
        filter: Option<ShowFilter>,
    },
    Procedures {
        from: Option<ShowScope>,
        filter: Option<ShowFilter>,
    },
    Models {
        from: Option<ShowScope>,
        filter: Option<ShowFilter>,
    },
    Connections {
        from: Option<ShowScope>,
        filter: Option<ShowFilter>,
    },
    Columns {
        table: ShowScope,
        filter: Option<ShowFilter>,
    },
    Partitions {
        table: ObjectName,
        partition: Option<PartitionSpec>,
    },
    Modules {
        full: bool,
    },
    Jars,
    Jobs,
    /// `SHOW CREATE kind name`; `or_alter` with `SHOW CREATE OR ALTER MATERIALIZED TABLE`.
    Create {
        kind: ObjectKind,
        or_alter: bool,
        name: ObjectName,
    },
}

/// `FROM name` or `IN name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShowScope {
    /// `FROM` or `IN`, as messages repeat it.
    pub preposition: Preposition,
    pub name: ObjectName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preposition {
    From,
    In,
}

/// `[NOT] LIKE 'pattern'` or `[NOT] ILIKE 'pattern'`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShowFilter {
    pub negated: bool,
    pub case_insensitive: bool,
    pub pattern: StringLiteral,
}

/// `DESCRIBE …`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DescribeStatement {
    Table { extended: bool, name: ObjectName },
    Catalog { extended: bool, name: Ident },
    Database { extended: bool, name: ObjectName },
    Function { extended: bool, name: ObjectName },
    Model { extended: bool, name: ObjectName },
    Connection { extended: bool, name: ObjectName },
    Job { id: StringLiteral },
}
