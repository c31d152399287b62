//! What a database holds: tables, views, functions, models.
//!
//! Tables are resolved when they are created: every column has its type, computed columns and watermarks have been
//! checked. The syntax of computed columns and watermarks is kept beside, because ALTER TABLE types them again and a
//! query inlines them. Nothing here is serialisable; a durable catalog keeps the DDL text of each object
//! ([`super::ddl_text`]) and runs it again.

use millstream_types::{LogicalType, Options, Schema};

use crate::parse::ast;

/// A table or a view; they share a namespace.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogTable {
    Table(ResolvedTable),
    View(View),
}

impl CatalogTable {
    pub fn as_table(&self) -> Option<&ResolvedTable> {
        match self {
            Self::Table(table) => Some(table),
            Self::View(_) => None,
        }
    }

    pub fn as_view(&self) -> Option<&View> {
        match self {
            Self::View(view) => Some(view),
            Self::Table(_) => None,
        }
    }
}

/// A table as declared, with all types resolved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResolvedTable {
    pub columns: Vec<TableColumn>,
    pub watermark: Option<WatermarkDefinition>,
    pub primary_key: Option<PrimaryKey>,
    pub distribution: Option<TableDistribution>,
    pub partition_keys: Vec<String>,
    pub comment: Option<String>,
    pub options: Options,
    /// Partitions added by ALTER TABLE; the in-memory catalog stores them only for SHOW PARTITIONS.
    pub partitions: Vec<Partition>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    pub name: String,
    /// Type with NOT NULL of the primary key and the time attribute applied.
    pub ty: LogicalType,
    pub kind: TableColumnKind,
    pub comment: Option<String>,
}

/// The origin of a column's values.
#[derive(Debug, Clone, PartialEq)]
pub enum TableColumnKind {
    Physical,
    Metadata {
        /// Key in the connector, if it differs from the name.
        key: Option<String>,
        is_virtual: bool,
    },
    Computed(ast::Expr),
}

/// `WATERMARK FOR column AS expr`.
#[derive(Debug, Clone, PartialEq)]
pub struct WatermarkDefinition {
    pub column: String,
    pub expr: ast::Expr,
}

/// `CONSTRAINT name PRIMARY KEY (columns) NOT ENFORCED`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryKey {
    pub name: String,
    pub columns: Vec<String>,
}

/// `DISTRIBUTED BY …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDistribution {
    pub kind: ast::DistributionKind,
    pub columns: Vec<String>,
    pub bucket_count: Option<u32>,
}

/// A partition, as key and value pairs in the order of the partition keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub spec: Vec<(String, String)>,
    pub options: Options,
}

/// A query with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The query as it was written, inlined wherever the view is used.
    pub query: ast::Query,
    /// Names and types of the columns at the creation of the view.
    pub schema: Schema,
    /// The query with all names expanded, as SHOW CREATE VIEW prints it.
    pub expanded: String,
    pub comment: Option<String>,
    /// The catalog and database against which the query's names are resolved.
    pub catalog: String,
    pub database: String,
}

/// A user function. It is stored and listed; classes are not executed.
#[derive(Debug, Clone, PartialEq)]
pub struct UserFunction {
    pub class: String,
    pub language: Option<ast::FunctionLanguage>,
    pub resources: Vec<(ast::ResourceKind, String)>,
    pub options: Options,
    /// The name under which the program registered it; `None` for one that was declared in SQL.
    pub native: Option<String>,
}

/// A model. It is stored and listed; providers are not called.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub input: Vec<TableColumn>,
    pub output: Vec<TableColumn>,
    pub comment: Option<String>,
    pub options: Options,
}

impl TableColumn {
    pub fn physical(name: impl Into<String>, ty: LogicalType) -> Self {
        Self {
            name: name.into(),
            ty,
            kind: TableColumnKind::Physical,
            comment: None,
        }
    }

    pub fn is_physical(&self) -> bool {
        matches!(self.kind, TableColumnKind::Physical)
    }

    pub fn is_computed(&self) -> bool {
        matches!(self.kind, TableColumnKind::Computed(_))
    }

    /// Whether INSERT writes the column: physical, or metadata that is not virtual.
    pub fn is_persisted(&self) -> bool {
        match self.kind {
            TableColumnKind::Physical => true,
            TableColumnKind::Metadata { is_virtual, .. } => !is_virtual,
            TableColumnKind::Computed(_) => false,
        }
    }

    /// Key of a metadata column in the connector's declaration.
    pub fn metadata_key(&self) -> Option<&str> {
        match &self.kind {
            TableColumnKind::Metadata { key, .. } => Some(key.as_deref().unwrap_or(&self.name)),
            _ => None,
        }
    }
}

impl ResolvedTable {
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// All columns, as queries see them.
    pub fn schema(&self) -> Schema {
        Schema::new(self.columns.iter().map(|c| (c.name.clone(), c.ty.clone())))
    }

    /// The columns in the external system, as plain data.
    pub fn physical_schema(&self) -> Schema {
        let physical = self.columns.iter().filter(|c| c.is_physical());
        Schema::new(physical.map(|c| (c.name.clone(), c.ty.without_time_attribute())))
    }

    /// Names of the primary key columns; empty without a key.
    pub fn key_columns(&self) -> &[String] {
        self.primary_key
            .as_ref()
            .map_or(&[], |key| key.columns.as_slice())
    }

    /// The value of `'connector'`.
    pub fn connector(&self) -> Option<&str> {
        self.options.get("connector").map(String::as_str)
    }
}
