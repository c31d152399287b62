//! Statements other than CREATE and ALTER.

use super::Printer;
use crate::parse::ast::{
    AnalyzeColumns, ClientCommand, ConflictBehavior, Delete, DescribeStatement, DropBehavior, DropStatement,
    Insert, JarStatement, ModuleStatement, ObjectName, PartitionSpec, PlanStatement, Preposition, ShowFilter,
    ShowScope, ShowStatement, Statement, StatementKind, StatementSet, StringLiteral, Update, UseStatement,
};

impl Printer {
    pub(super) fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Query(query) => self.query(query),
            StatementKind::Insert(insert) => self.insert(insert),
            StatementKind::Update(update) => self.update(update),
            StatementKind::Delete(delete) => self.delete(delete),
            StatementKind::StatementSet(set) => {
                self.push("EXECUTE ");
                self.statement_set(set);
            }
            StatementKind::BeginStatementSet => self.push("BEGIN STATEMENT SET"),
            StatementKind::EndStatementSet => self.push("END"),
            StatementKind::Create(create) => self.create(create),
            StatementKind::Alter(alter) => self.alter(alter),
            StatementKind::Drop(drop) => self.drop_statement(drop),
            StatementKind::Use(statement) => self.use_statement(statement),
            StatementKind::Show(show) => self.show(show),
            StatementKind::Describe(describe) => self.describe(describe),
            StatementKind::Explain(explain) => {
                self.push("EXPLAIN ");
                self.list(&explain.details, ", ", |printer, detail| {
                    printer.push(detail.word())
                });
                self.push(if explain.details.is_empty() { "" } else { " " });
                self.statement(&explain.statement);
            }
            _ => self.session_statement(&statement.kind),
        }
    }

    fn session_statement(&mut self, kind: &StatementKind) {
        match kind {
            StatementKind::Set(option) => {
                self.push("SET");
                self.optional(" ", option.as_ref(), |printer, option| {
                    printer.options(std::slice::from_ref(option))
                });
            }
            StatementKind::Reset(key) => {
                self.push("RESET");
                self.optional(" ", key.as_ref(), Self::literal_string);
            }
            StatementKind::Plan(plan) => self.plan(plan),
            StatementKind::Call(call) => {
                self.push("CALL ");
                self.function(call);
            }
            StatementKind::Jar(JarStatement::Add(path)) => self.with_string("ADD JAR ", path),
            StatementKind::Jar(JarStatement::Remove(path)) => self.with_string("REMOVE JAR ", path),
            StatementKind::Module(ModuleStatement::Load { name, options }) => {
                self.push("LOAD MODULE ");
                self.identifier(name);
                self.with_options(options);
            }
            StatementKind::Module(ModuleStatement::Unload { name }) => {
                self.push("UNLOAD MODULE ");
                self.identifier(name);
            }
            StatementKind::StopJob(stop) => {
                self.with_string("STOP JOB ", &stop.id);
                self.push(if stop.with_savepoint {
                    " WITH SAVEPOINT"
                } else {
                    ""
                });
                self.push(if stop.with_drain { " WITH DRAIN" } else { "" });
            }
            StatementKind::Truncate { name } => self.with_name("TRUNCATE TABLE ", name),
            StatementKind::Analyze(analyze) => {
                self.with_name("ANALYZE TABLE ", &analyze.name);
                self.optional(" ", analyze.partition.as_ref(), Self::partition);
                self.push(" COMPUTE STATISTICS");
                match &analyze.columns {
                    AnalyzeColumns::None => {}
                    AnalyzeColumns::All => self.push(" FOR ALL COLUMNS"),
                    AnalyzeColumns::Some(columns) => {
                        self.push(" FOR COLUMNS ");
                        self.list(columns, ", ", Self::identifier);
                    }
                }
            }
            StatementKind::Client(command) => self.push(match command {
                ClientCommand::Quit => "QUIT",
                ClientCommand::Clear => "CLEAR",
                ClientCommand::Help => "HELP",
            }),
            _ => {}
        }
    }

    // --- small parts ---

    pub(super) fn literal_string(&mut self, literal: &StringLiteral) {
        self.string(&literal.value);
    }

    fn with_string(&mut self, prefix: &str, literal: &StringLiteral) {
        self.push(prefix);
        self.literal_string(literal);
    }

    pub(super) fn with_name(&mut self, prefix: &str, name: &ObjectName) {
        self.push(prefix);
        self.name(name);
    }

    /// `PARTITION (k = v, …)`.
    pub(super) fn partition(&mut self, partition: &PartitionSpec) {
        self.push("PARTITION (");
        self.list(&partition.entries, ", ", |printer, entry| {
            printer.identifier(&entry.column);
            printer.optional(" = ", entry.value.as_ref(), Self::expr);
        });
        self.push(")");
    }

    // --- changing data ---

    fn insert(&mut self, insert: &Insert) {
        self.with_name(
            if insert.overwrite {
                "INSERT OVERWRITE "
            } else {
                "INSERT INTO "
            },
            &insert.target,
        );
        self.push(" ");
        self.hints(&insert.hints);
        if let Some(partition) = &insert.partition {
            self.partition(partition);
            self.push(" ");
        }
        if !insert.columns.is_empty() {
            self.in_parentheses(|printer| printer.list(&insert.columns, ", ", Self::name));
        }
        self.text.truncate(self.text.trim_end().len());
        self.push("\n");
        self.query(&insert.source);
        self.push(match insert.on_conflict {
            Some(ConflictBehavior::Error) => "\nON CONFLICT DO ERROR",
            Some(ConflictBehavior::Nothing) => "\nON CONFLICT DO NOTHING",
            Some(ConflictBehavior::Deduplicate) => "\nON CONFLICT DO DEDUPLICATE",
            None => "",
        });
    }

    fn update(&mut self, update: &Update) {
        self.with_name("UPDATE ", &update.target);
        self.push(" ");
        self.hints(&update.hints);
        self.optional("AS ", update.alias.as_ref(), Self::identifier);
        self.push(if update.alias.is_some() { " SET " } else { "SET " });
        self.list(&update.assignments, ", ", |printer, assignment| {
            printer.identifier(&assignment.column);
            printer.push(" = ");
            printer.expr(&assignment.value);
        });
        self.optional("\nWHERE ", update.condition.as_ref(), Self::expr);
    }

    fn delete(&mut self, delete: &Delete) {
        self.with_name("DELETE FROM ", &delete.target);
        self.push(" ");
        self.hints(&delete.hints);
        self.optional("AS ", delete.alias.as_ref(), Self::identifier);
        self.text.truncate(self.text.trim_end().len());
        self.optional("\nWHERE ", delete.condition.as_ref(), Self::expr);
    }

    fn statement_set(&mut self, set: &StatementSet) {
        self.push("STATEMENT SET BEGIN\n");
        for statement in &set.statements {
            self.statement(statement);
            self.push(";\n");
        }
        self.push("END");
    }

    fn plan(&mut self, plan: &PlanStatement) {
        let (prefix, path, suffix, statement) = match plan {
            PlanStatement::Execute { path } => return self.with_string("EXECUTE PLAN ", path),
            PlanStatement::Compile {
                path,
                if_not_exists: false,
                statement,
            } => ("COMPILE PLAN ", path, "", statement),
            PlanStatement::Compile { path, statement, .. } => {
                ("COMPILE PLAN ", path, " IF NOT EXISTS", statement)
            }
            PlanStatement::CompileAndExecute { path, statement } => {
                ("COMPILE AND EXECUTE PLAN ", path, "", statement)
            }
        };
        self.with_string(prefix, path);
        self.push(suffix);
        self.push(" FOR ");
        match &statement.kind {
            StatementKind::StatementSet(set) => self.statement_set(set),
            _ => self.statement(statement),
        }
    }

    // --- catalog ---

    fn drop_statement(&mut self, drop: &DropStatement) {
        self.push("DROP ");
        self.push(if drop.temporary { "TEMPORARY " } else { "" });
        self.push(if drop.system { "SYSTEM " } else { "" });
        self.push(drop.kind.words());
        self.with_name(if drop.if_exists { " IF EXISTS " } else { " " }, &drop.name);
        self.push(match drop.behavior {
            Some(DropBehavior::Restrict) => " RESTRICT",
            Some(DropBehavior::Cascade) => " CASCADE",
            None => "",
        });
    }

    fn use_statement(&mut self, statement: &UseStatement) {
        match statement {
            UseStatement::Database(name) => self.with_name("USE ", name),
            UseStatement::Catalog(name) => {
                self.push("USE CATALOG ");
                self.identifier(name);
            }
            UseStatement::Modules(names) => {
                self.push("USE MODULES ");
                self.list(names, ", ", Self::identifier);
            }
        }
    }

    fn show(&mut self, show: &ShowStatement) {
        self.push("SHOW ");
        match show {
            ShowStatement::Catalogs { filter } => self.shown("CATALOGS", None, filter),
            ShowStatement::CurrentCatalog => self.push("CURRENT CATALOG"),
            ShowStatement::CurrentDatabase => self.push("CURRENT DATABASE"),
            ShowStatement::Databases { from, filter } => self.shown("DATABASES", from.as_ref(), filter),
            ShowStatement::Tables { from, filter } => self.shown("TABLES", from.as_ref(), filter),
            ShowStatement::MaterializedTables { from, filter } => {
                self.shown("MATERIALIZED TABLES", from.as_ref(), filter);
            }
            ShowStatement::Views { from, filter } => self.shown("VIEWS", from.as_ref(), filter),
            ShowStatement::Functions { user, from, filter } => {
                self.shown(
                    if *user { "USER FUNCTIONS" } else { "FUNCTIONS" },
                    from.as_ref(),
                    filter,
                );
            }
            ShowStatement::Procedures { from, filter } => self.shown("PROCEDURES", from.as_ref(), filter),
            ShowStatement::Models { from, filter } => self.shown("MODELS", from.as_ref(), filter),
            ShowStatement::Connections { from, filter } => self.shown("CONNECTIONS", from.as_ref(), filter),
            ShowStatement::Columns { table, filter } => self.shown("COLUMNS", Some(table), filter),
            ShowStatement::Partitions { table, partition } => {
                self.with_name("PARTITIONS ", table);
                self.optional(" ", partition.as_ref(), Self::partition);
            }
            ShowStatement::Modules { full } => self.push(if *full { "FULL MODULES" } else { "MODULES" }),
            ShowStatement::Jars => self.push("JARS"),
            ShowStatement::Jobs => self.push("JOBS"),
            ShowStatement::Create { kind, or_alter, name } => {
                self.push(if *or_alter { "CREATE OR ALTER " } else { "CREATE " });
                self.push(kind.words());
                self.with_name(" ", name);
            }
        }
    }

    fn shown(&mut self, subject: &str, scope: Option<&ShowScope>, filter: &Option<ShowFilter>) {
        self.push(subject);
        if let Some(scope) = scope {
            self.push(match scope.preposition {
                Preposition::From => " FROM ",
                Preposition::In => " IN ",
            });
            self.name(&scope.name);
        }
        if let Some(filter) = filter {
            self.push(if filter.negated { " NOT" } else { "" });
            self.push(if filter.case_insensitive {
                " ILIKE "
            } else {
                " LIKE "
            });
            self.literal_string(&filter.pattern);
        }
    }

    fn describe(&mut self, describe: &DescribeStatement) {
        let (kind, extended, name) = match describe {
            DescribeStatement::Job { id } => return self.with_string("DESCRIBE JOB ", id),
            DescribeStatement::Catalog { extended, name } => {
                self.push(if *extended {
                    "DESCRIBE CATALOG EXTENDED "
                } else {
                    "DESCRIBE CATALOG "
                });
                return self.identifier(name);
            }
            DescribeStatement::Table { extended, name } => ("", extended, name),
            DescribeStatement::Database { extended, name } => ("DATABASE ", extended, name),
            DescribeStatement::Function { extended, name } => ("FUNCTION ", extended, name),
            DescribeStatement::Model { extended, name } => ("MODEL ", extended, name),
            DescribeStatement::Connection { extended, name } => ("CONNECTION ", extended, name),
        };
        self.push("DESCRIBE ");
        self.push(kind);
        self.with_name(if *extended { "EXTENDED " } else { "" }, name);
    }
}
