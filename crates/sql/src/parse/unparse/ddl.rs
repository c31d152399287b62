//! CREATE and ALTER.

use super::Printer;
use crate::parse::ast::{
    AlterMaterializedTableAction, AlterOptions, AlterStatement, AlterTableAction, AlterView,
    ColumnDefinition, ColumnKind, ColumnPosition, ConstraintKind, CreateFunction, CreateMaterializedTable,
    CreateMode, CreateModel, CreateStatement, CreateTable, CreateView, Distribution, DistributionKind,
    FunctionDefinition, Ident, ObjectName, RefreshMode, ResourceKind, SchemaChange, SqlOption, StringLiteral,
    TableConstraint, TableLike, TableSchema, Watermark,
};

impl Printer {
    pub(super) fn create(&mut self, create: &CreateStatement) {
        match create {
            CreateStatement::Table(table) => self.create_table(table),
            CreateStatement::MaterializedTable(table) => self.create_materialized_table(table),
            CreateStatement::View(view) => self.create_view(view),
            CreateStatement::Database(database) => {
                self.created("CREATE DATABASE ", database.if_not_exists, &database.name);
                self.comment(database.comment.as_ref());
                self.with_options(&database.options);
            }
            CreateStatement::Catalog(catalog) => {
                self.created(
                    "CREATE CATALOG ",
                    catalog.if_not_exists,
                    &ObjectName::simple(catalog.name.clone()),
                );
                self.comment(catalog.comment.as_ref());
                self.with_options(&catalog.options);
            }
            CreateStatement::Function(function) => self.create_function(function),
            CreateStatement::Model(model) => self.create_model(model),
            CreateStatement::Connection(connection) => {
                let prefix = lifetime("CREATE", connection.temporary, connection.system);
                self.created(
                    &format!("{prefix} CONNECTION "),
                    connection.if_not_exists,
                    &connection.name,
                );
                self.comment(connection.comment.as_ref());
                self.push("\nWITH ");
                self.in_parentheses(|printer| printer.options(&connection.options));
            }
        }
    }

    fn created(&mut self, prefix: &str, if_not_exists: bool, name: &ObjectName) {
        self.push(prefix);
        self.push(if if_not_exists { "IF NOT EXISTS " } else { "" });
        self.name(name);
    }

    pub(super) fn comment(&mut self, comment: Option<&StringLiteral>) {
        self.optional("\nCOMMENT ", comment, Self::literal_string);
    }

    /// `WITH (…)` on a line of its own, unless there are no options.
    pub(super) fn with_options(&mut self, options: &[SqlOption]) {
        if options.is_empty() {
            return;
        }
        self.push("\nWITH (\n  ");
        self.list(options, ",\n  ", |printer, option| {
            printer.options(std::slice::from_ref(option))
        });
        self.push("\n)");
    }

    fn create_table(&mut self, table: &CreateTable) {
        let prefix = format!(
            "{} TABLE ",
            lifetime(mode_words(table.mode), table.temporary, false)
        );
        self.created(&prefix, table.if_not_exists, &table.name);
        self.table_schema(&table.schema);
        self.comment(table.comment.as_ref());
        self.optional("\nDISTRIBUTED ", table.distribution.as_ref(), Self::distribution);
        self.partitioned_by(&table.partitioned_by);
        self.optional("\nUSING CONNECTION ", table.connection.as_ref(), Self::name);
        self.with_options(&table.options);
        self.optional("\nLIKE ", table.like.as_ref(), Self::table_like);
        self.optional("\nAS ", table.query.as_ref(), |printer, query| {
            printer.query(query)
        });
    }

    fn table_schema(&mut self, schema: &TableSchema) {
        let mut elements: Vec<String> = schema
            .column_names
            .iter()
            .map(|n| super::quote_identifier(&n.value))
            .collect();
        elements.extend(
            schema
                .columns
                .iter()
                .map(|column| Self::print(|printer| printer.column(column))),
        );
        elements.extend(
            schema
                .watermark
                .iter()
                .map(|watermark| Self::print(|printer| printer.watermark(watermark))),
        );
        elements.extend(
            schema
                .constraints
                .iter()
                .map(|c| Self::print(|printer| printer.constraint(c))),
        );
        if elements.is_empty() {
            return;
        }
        self.push(" (\n  ");
        self.push(&elements.join(",\n  "));
        self.push("\n)");
    }

    fn column(&mut self, column: &ColumnDefinition) {
        self.identifier(&column.name);
        match &column.kind {
            ColumnKind::Computed(expr) => {
                self.push(" AS ");
                self.expr(expr);
            }
            ColumnKind::Metadata {
                data_type,
                key,
                is_virtual,
            } => {
                self.push(" ");
                self.data_type(data_type);
                self.push(" METADATA");
                self.optional(" FROM ", key.as_ref(), Self::literal_string);
                self.push(if *is_virtual { " VIRTUAL" } else { "" });
            }
            ColumnKind::Physical {
                data_type,
                constraint,
            } => {
                self.push(" ");
                self.data_type(data_type);
                if let Some(constraint) = constraint {
                    self.push(" ");
                    self.constraint_head(constraint);
                    self.enforcement(constraint);
                }
            }
        }
        self.optional(" COMMENT ", column.comment.as_ref(), Self::literal_string);
    }

    fn constraint_head(&mut self, constraint: &TableConstraint) {
        if let Some(name) = &constraint.name {
            self.push("CONSTRAINT ");
            self.identifier(name);
            self.push(" ");
        }
        self.push(match constraint.kind {
            ConstraintKind::PrimaryKey => "PRIMARY KEY",
            ConstraintKind::Unique => "UNIQUE",
        });
    }

    fn enforcement(&mut self, constraint: &TableConstraint) {
        self.push(match constraint.enforced {
            Some(true) => " ENFORCED",
            Some(false) => " NOT ENFORCED",
            None => "",
        });
    }

    fn constraint(&mut self, constraint: &TableConstraint) {
        self.constraint_head(constraint);
        self.push(" ");
        self.identifiers(&constraint.columns);
        self.enforcement(constraint);
    }

    fn watermark(&mut self, watermark: &Watermark) {
        self.with_name("WATERMARK FOR ", &watermark.column);
        self.push(" AS ");
        self.expr(&watermark.expr);
    }

    fn distribution(&mut self, distribution: &Distribution) {
        if !distribution.columns.is_empty() {
            self.push(match distribution.kind {
                DistributionKind::Unknown => "BY ",
                DistributionKind::Hash => "BY HASH",
                DistributionKind::Range => "BY RANGE",
            });
            self.identifiers(&distribution.columns);
        }
        if let Some(count) = &distribution.bucket_count {
            self.push(if distribution.columns.is_empty() {
                "INTO "
            } else {
                " INTO "
            });
            self.push(&count.text);
            self.push(" BUCKETS");
        }
    }

    fn partitioned_by(&mut self, columns: &[Ident]) {
        if !columns.is_empty() {
            self.push("\nPARTITIONED BY ");
            self.identifiers(columns);
        }
    }

    fn table_like(&mut self, like: &TableLike) {
        self.name(&like.source);
        if like.options.is_empty() {
            return;
        }
        self.push(" (\n  ");
        self.list(&like.options, "\n  ", |printer, option| {
            printer.push(option.strategy.word());
            printer.push(" ");
            printer.push(option.feature.word());
        });
        self.push("\n)");
    }

    fn create_materialized_table(&mut self, table: &CreateMaterializedTable) {
        let prefix = format!("{} MATERIALIZED TABLE ", mode_words(table.mode));
        self.created(&prefix, table.if_not_exists, &table.name);
        self.table_schema(&table.schema);
        self.comment(table.comment.as_ref());
        self.optional("\nDISTRIBUTED ", table.distribution.as_ref(), Self::distribution);
        self.partitioned_by(&table.partitioned_by);
        self.optional("\nUSING CONNECTION ", table.connection.as_ref(), Self::name);
        self.with_options(&table.options);
        if let Some(start) = &table.start_mode {
            self.push("\nSTART_MODE = ");
            self.push(start.kind.word());
            self.optional("", start.argument.as_ref(), |printer, argument| {
                printer.in_parentheses(|printer| printer.expr(argument));
            });
        }
        self.optional("\nFRESHNESS = ", table.freshness.as_ref(), Self::expr);
        self.optional("\nREFRESH_MODE = ", table.refresh_mode, Self::refresh_mode);
        self.push("\nAS ");
        self.query(&table.query);
    }

    fn refresh_mode(&mut self, mode: RefreshMode) {
        self.push(match mode {
            RefreshMode::Full => "FULL",
            RefreshMode::Continuous => "CONTINUOUS",
        });
    }

    fn create_view(&mut self, view: &CreateView) {
        let prefix = format!("{} VIEW ", lifetime(mode_words(view.mode), view.temporary, false));
        self.created(&prefix, view.if_not_exists, &view.name);
        if !view.columns.is_empty() {
            self.push(" (\n  ");
            self.list(&view.columns, ",\n  ", Self::identifier);
            self.push("\n)");
        }
        self.comment(view.comment.as_ref());
        self.push("\nAS ");
        self.query(&view.query);
    }

    fn create_function(&mut self, function: &CreateFunction) {
        let prefix = lifetime("CREATE", function.temporary, function.system);
        self.created(
            &format!("{prefix} FUNCTION "),
            function.if_not_exists,
            &function.name,
        );
        self.function_definition(&function.definition);
    }

    fn function_definition(&mut self, definition: &FunctionDefinition) {
        self.push(" AS ");
        self.literal_string(&definition.class);
        if let Some(language) = definition.language {
            self.push(" LANGUAGE ");
            self.push(language.word());
        }
        if !definition.resources.is_empty() {
            self.push(" USING ");
            self.list(&definition.resources, ", ", |printer, resource| {
                printer.push(match resource.kind {
                    ResourceKind::Jar => "JAR ",
                    ResourceKind::Artifact => "ARTIFACT ",
                });
                printer.literal_string(&resource.uri);
            });
        }
        self.with_options(&definition.options);
    }

    fn create_model(&mut self, model: &CreateModel) {
        let prefix = format!(
            "{} MODEL ",
            lifetime(mode_words(model.mode), model.temporary, false)
        );
        self.created(&prefix, model.if_not_exists, &model.name);
        for (word, columns) in [("\nINPUT ", &model.input), ("\nOUTPUT ", &model.output)] {
            if !columns.is_empty() {
                self.push(word);
                self.in_parentheses(|printer| printer.list(columns, ", ", Self::column));
            }
        }
        self.comment(model.comment.as_ref());
        self.optional("\nWITH ", model.options.as_ref(), |printer, options| {
            printer.in_parentheses(|printer| printer.options(options));
        });
        self.optional("\nAS ", model.query.as_ref(), |printer, query| {
            printer.query(query)
        });
    }

    // --- ALTER ---

    pub(super) fn alter(&mut self, alter: &AlterStatement) {
        let if_exists = |flag: bool| if flag { "IF EXISTS " } else { "" };
        match alter {
            AlterStatement::Table(table) => {
                self.push("ALTER TABLE ");
                self.with_name(if_exists(table.if_exists), &table.name);
                self.push(" ");
                self.alter_table_action(&table.action);
            }
            AlterStatement::MaterializedTable(table) => {
                self.with_name("ALTER MATERIALIZED TABLE ", &table.name);
                self.push(" ");
                self.alter_materialized_table(&table.action);
            }
            AlterStatement::View { name, action } => {
                self.with_name("ALTER VIEW ", name);
                match action {
                    AlterView::Rename(to) => self.with_name(" RENAME TO ", to),
                    AlterView::As(query) => {
                        self.push("\nAS ");
                        self.query(query);
                    }
                }
            }
            AlterStatement::Database { name, action } => {
                self.with_name("ALTER DATABASE ", name);
                self.alter_options(action);
            }
            AlterStatement::Catalog { name, action } => {
                self.push("ALTER CATALOG ");
                self.identifier(name);
                self.alter_options(action);
            }
            AlterStatement::Function(function) => {
                self.push(&lifetime("ALTER", function.temporary, function.system));
                self.push(" FUNCTION ");
                self.with_name(if_exists(function.if_exists), &function.name);
                self.function_definition(&function.definition);
            }
            AlterStatement::Model {
                if_exists: flag,
                name,
                action,
            } => {
                self.push("ALTER MODEL ");
                self.with_name(if_exists(*flag), name);
                self.alter_options(action);
            }
            AlterStatement::Connection {
                temporary,
                system,
                if_exists: flag,
                name,
                action,
            } => {
                self.push(&lifetime("ALTER", *temporary, *system));
                self.push(" CONNECTION ");
                self.with_name(if_exists(*flag), name);
                self.alter_options(action);
            }
        }
    }

    fn alter_options(&mut self, action: &AlterOptions) {
        self.push(" ");
        match action {
            AlterOptions::Set(options) => self.set_options(options),
            AlterOptions::Reset(keys) => self.reset_options(keys),
            AlterOptions::Comment(comment) => {
                self.push("COMMENT ");
                self.literal_string(comment);
            }
            AlterOptions::Rename(name) => self.with_name("RENAME TO ", name),
        }
    }

    fn set_options(&mut self, options: &[SqlOption]) {
        self.push("SET ");
        self.in_parentheses(|printer| printer.options(options));
    }

    fn reset_options(&mut self, keys: &[StringLiteral]) {
        self.push("RESET ");
        self.in_parentheses(|printer| printer.list(keys, ", ", Self::literal_string));
    }

    fn alter_table_action(&mut self, action: &AlterTableAction) {
        match action {
            AlterTableAction::Rename(name) => self.with_name("RENAME TO ", name),
            AlterTableAction::RenameColumn { from, to } => {
                self.with_name("RENAME ", from);
                self.push(" TO ");
                self.identifier(to);
            }
            AlterTableAction::Set(options) => self.set_options(options),
            AlterTableAction::Reset(keys) => self.reset_options(keys),
            AlterTableAction::Add(change) => self.schema_change("ADD ", change),
            AlterTableAction::Modify(change) => self.schema_change("MODIFY ", change),
            AlterTableAction::AddPartitions {
                if_not_exists,
                partitions,
            } => {
                self.push(if *if_not_exists {
                    "ADD IF NOT EXISTS"
                } else {
                    "ADD"
                });
                for entry in partitions {
                    self.push(" ");
                    self.partition(&entry.partition);
                    if !entry.options.is_empty() {
                        self.push(" WITH ");
                        self.in_parentheses(|printer| printer.options(&entry.options));
                    }
                }
            }
            AlterTableAction::DropColumns(columns) => {
                self.push("DROP ");
                self.in_parentheses(|printer| printer.list(columns, ", ", Self::name));
            }
            AlterTableAction::DropPrimaryKey => self.push("DROP PRIMARY KEY"),
            AlterTableAction::DropConstraint(name) => {
                self.push("DROP CONSTRAINT ");
                self.identifier(name);
            }
            AlterTableAction::DropWatermark => self.push("DROP WATERMARK"),
            AlterTableAction::DropDistribution => self.push("DROP DISTRIBUTION"),
            AlterTableAction::DropPartitions {
                if_exists,
                partitions,
            } => {
                self.push(if *if_exists { "DROP IF EXISTS " } else { "DROP " });
                self.list(partitions, ", ", Self::partition);
            }
            AlterTableAction::Compact { partition } => {
                self.partition(partition);
                self.push(" COMPACT");
            }
        }
    }

    fn schema_change(&mut self, prefix: &str, change: &SchemaChange) {
        self.push(prefix);
        if let Some(distribution) = &change.distribution {
            self.push("DISTRIBUTION ");
            return self.distribution(distribution);
        }
        let mut elements: Vec<String> = Vec::new();
        for entry in &change.columns {
            elements.push(Self::print(|printer| {
                printer.column(&entry.column);
                match &entry.position {
                    Some(ColumnPosition::First) => printer.push(" FIRST"),
                    Some(ColumnPosition::After(column)) => printer.with_name(" AFTER ", column),
                    None => {}
                }
            }));
        }
        elements.extend(
            change
                .constraints
                .iter()
                .map(|c| Self::print(|printer| printer.constraint(c))),
        );
        elements.extend(
            change
                .watermark
                .iter()
                .map(|watermark| Self::print(|printer| printer.watermark(watermark))),
        );
        self.push("(\n  ");
        self.push(&elements.join(",\n  "));
        self.push("\n)");
    }

    fn alter_materialized_table(&mut self, action: &AlterMaterializedTableAction) {
        match action {
            AlterMaterializedTableAction::Suspend => self.push("SUSPEND"),
            AlterMaterializedTableAction::Resume(options) => {
                self.push("RESUME");
                self.with_options(options);
            }
            AlterMaterializedTableAction::Refresh(partition) => {
                self.push("REFRESH");
                self.optional(" ", partition.as_ref(), Self::partition);
            }
            AlterMaterializedTableAction::SetFreshness(interval) => {
                self.push("SET FRESHNESS = ");
                self.expr(interval);
            }
            AlterMaterializedTableAction::SetRefreshMode(mode) => {
                self.push("SET REFRESH_MODE = ");
                self.refresh_mode(*mode);
            }
            AlterMaterializedTableAction::As(query) => {
                self.push("AS ");
                self.query(query);
            }
            AlterMaterializedTableAction::Table(action) => self.alter_table_action(action),
        }
    }
}

/// `CREATE TEMPORARY SYSTEM` and the shorter forms.
fn lifetime(verb: &str, temporary: bool, system: bool) -> String {
    match (temporary, system) {
        (true, true) => format!("{verb} TEMPORARY SYSTEM"),
        (true, false) => format!("{verb} TEMPORARY"),
        (false, _) => verb.to_owned(),
    }
}

fn mode_words(mode: CreateMode) -> &'static str {
    match mode {
        CreateMode::Create => "CREATE",
        CreateMode::CreateOrReplace => "CREATE OR REPLACE",
        CreateMode::Replace => "REPLACE",
        CreateMode::CreateOrAlter => "CREATE OR ALTER",
    }
}
