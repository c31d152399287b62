//! CREATE and REPLACE.

use super::{Expected, Parser, Result};
use crate::parse::ast::{
    CreateCatalog, CreateConnection, CreateDatabase, CreateFunction, CreateMaterializedTable, CreateMode,
    CreateModel, CreateStatement, CreateTable, CreateView, FunctionDefinition, FunctionLanguage,
    FunctionResource, LikeFeature, MergingStrategy, ObjectName, RefreshMode, ResourceKind, StartMode,
    StartModeKind, TableLike, TableLikeOption, TableSchema,
};
use crate::parse::token::Sign;

/// What was said between CREATE and the kind of the object.
#[derive(Clone, Copy)]
struct Prefix {
    mode: CreateMode,
    temporary: bool,
    system: bool,
}

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<CreateStatement> {
        let prefix = self.create_prefix()?;
        let word = self.word().map(str::to_ascii_uppercase).unwrap_or_default();
        let allows = |words: &[&str]| words.contains(&word.as_str());
        let is_allowed = match (prefix.mode, prefix.temporary, prefix.system) {
            (_, _, true) => allows(&["FUNCTION", "CONNECTION"]),
            (CreateMode::Replace, ..) => allows(&["TABLE"]),
            (CreateMode::CreateOrAlter, ..) => allows(&["MATERIALIZED"]),
            (CreateMode::CreateOrReplace, ..) => allows(&["TABLE", "VIEW", "MODEL"]),
            (CreateMode::Create, true, _) => allows(&["TABLE", "VIEW", "FUNCTION", "MODEL", "CONNECTION"]),
            (CreateMode::Create, false, _) => true,
        };
        if !is_allowed {
            return Err(self.unexpected_thing("the kind of an object that this CREATE can make"));
        }
        match word.as_str() {
            "TABLE" => self
                .create_table(prefix)
                .map(|table| CreateStatement::Table(Box::new(table))),
            "MATERIALIZED" => self
                .create_materialized_table(prefix)
                .map(|table| CreateStatement::MaterializedTable(Box::new(table))),
            "VIEW" => self
                .create_view(prefix)
                .map(|view| CreateStatement::View(Box::new(view))),
            "DATABASE" => self.create_database().map(CreateStatement::Database),
            "CATALOG" => self.create_catalog().map(CreateStatement::Catalog),
            "FUNCTION" => self.create_function(prefix).map(CreateStatement::Function),
            "MODEL" => self
                .create_model(prefix)
                .map(|model| CreateStatement::Model(Box::new(model))),
            "CONNECTION" => self.create_connection(prefix).map(CreateStatement::Connection),
            _ => Err(self.no_such_create(&word)),
        }
    }

    fn create_prefix(&mut self) -> Result<Prefix> {
        if self.eat_word("REPLACE") {
            return Ok(Prefix {
                mode: CreateMode::Replace,
                temporary: false,
                system: false,
            });
        }
        self.expect_word("CREATE")?;
        let mut mode = CreateMode::Create;
        if self.eat_word("OR") {
            let modes = [CreateMode::CreateOrReplace, CreateMode::CreateOrAlter];
            mode = modes[self.expect_any_word(&["REPLACE", "ALTER"])?];
        }
        let temporary = self.eat_word("TEMPORARY");
        let system = temporary && self.eat_word("SYSTEM");
        Ok(Prefix {
            mode,
            temporary,
            system,
        })
    }

    fn no_such_create(&mut self, word: &str) -> crate::parse::ParseError {
        let hint = match word {
            "STREAM" | "SOURCE" | "SINK" | "EXTERNAL" | "STREAMING" => {
                "every stream is a table: write CREATE TABLE name (column type, …) WITH ('connector' = '…', …)"
            }
            "SCHEMA" => "write CREATE DATABASE",
            "TEMP" => "write CREATE TEMPORARY",
            "INDEX" => "there are no indexes",
            _ => {
                for kind in [
                    "TABLE",
                    "VIEW",
                    "DATABASE",
                    "CATALOG",
                    "FUNCTION",
                    "MODEL",
                    "CONNECTION",
                ] {
                    self.at_word(kind);
                }
                return self.unexpected();
            }
        };
        self.unexpected_with_hint(hint)
    }

    fn create_table(&mut self, prefix: Prefix) -> Result<CreateTable> {
        self.expect_word("TABLE")?;
        let mut table = CreateTable {
            mode: prefix.mode,
            temporary: prefix.temporary,
            if_not_exists: self.if_not_exists(),
            name: self.object_name()?,
            schema: TableSchema::default(),
            comment: None,
            distribution: None,
            partitioned_by: Vec::new(),
            connection: None,
            options: Vec::new(),
            like: None,
            query: None,
        };
        self.note(Expected::Sign(Sign::LeftParen));
        if self.is_sign(Sign::LeftParen) {
            table.schema = self.table_schema()?;
        }
        table.comment = self.comment()?;
        table.distribution = self.distributed()?;
        table.partitioned_by = self.partitioned_by()?;
        table.connection = self.using_connection()?;
        table.options = self.with_options()?;
        if self.eat_word("LIKE") {
            table.like = Some(self.table_like()?);
        } else if self.eat_word("AS") {
            table.query = Some(Box::new(self.query()?));
        }
        self.check_create_table(&table)?;
        Ok(table)
    }

    /// Combinations that the grammar allows one by one, but not together.
    fn check_create_table(&self, table: &CreateTable) -> Result<()> {
        let is_replace = matches!(table.mode, CreateMode::Replace | CreateMode::CreateOrReplace);
        if is_replace && table.query.is_none() {
            return Err(self.unexpected_with_hint("REPLACE TABLE needs a query: … AS SELECT …"));
        }
        if let Some(name) = table
            .schema
            .column_names
            .first()
            .filter(|_| table.query.is_none())
        {
            let message = format!(
                "Columns identifiers without types in the schema are supported on CTAS/RTAS statements only: column '{}' has \
                 no data type",
                name.value
            );
            return Err(self.invalid(name.span, message));
        }
        if !table.schema.column_names.is_empty() && !table.schema.columns.is_empty() {
            let message = "columns with and without types cannot be mixed";
            return Err(self.invalid(table.schema.span, message));
        }
        Ok(())
    }

    fn distributed(&mut self) -> Result<Option<crate::parse::ast::Distribution>> {
        let start = self.span();
        if !self.eat_word("DISTRIBUTED") {
            return Ok(None);
        }
        self.distribution(start).map(Some)
    }

    fn using_connection(&mut self) -> Result<Option<ObjectName>> {
        if !self.eat_word("USING") {
            return Ok(None);
        }
        self.expect_word("CONNECTION")?;
        self.object_name().map(Some)
    }

    fn table_like(&mut self) -> Result<TableLike> {
        let source = self.object_name()?;
        let mut options: Vec<TableLikeOption> = Vec::new();
        if self.eat_sign(Sign::LeftParen) {
            while !self.eat_sign(Sign::RightParen) {
                let option = self.like_option()?;
                self.check_like_option(&option, &options)?;
                options.push(option);
            }
        }
        let span = self.span_from(source.span);
        Ok(TableLike {
            source,
            options,
            span,
        })
    }

    fn like_option(&mut self) -> Result<TableLikeOption> {
        let start = self.span();
        let strategies = [
            MergingStrategy::Including,
            MergingStrategy::Excluding,
            MergingStrategy::Overwriting,
        ];
        let strategy = strategies[self.expect_any_word(&["INCLUDING", "EXCLUDING", "OVERWRITING"])?];
        let features = [
            LikeFeature::All,
            LikeFeature::Constraints,
            LikeFeature::Distribution,
            LikeFeature::Generated,
            LikeFeature::Metadata,
            LikeFeature::Options,
            LikeFeature::Partitions,
            LikeFeature::Watermarks,
        ];
        let words = [
            "ALL",
            "CONSTRAINTS",
            "DISTRIBUTION",
            "GENERATED",
            "METADATA",
            "OPTIONS",
            "PARTITIONS",
            "WATERMARKS",
        ];
        let feature = features[self.expect_any_word(&words)?];
        Ok(TableLikeOption {
            strategy,
            feature,
            span: self.span_from(start),
        })
    }

    fn check_like_option(&self, option: &TableLikeOption, before: &[TableLikeOption]) -> Result<()> {
        if before.iter().any(|other| other.feature == option.feature) {
            return Err(self.invalid(option.span, "each like option feature can be declared only once"));
        }
        let cannot_overwrite = matches!(
            option.feature,
            LikeFeature::All | LikeFeature::Constraints | LikeFeature::Distribution | LikeFeature::Partitions
        );
        if option.strategy == MergingStrategy::Overwriting && cannot_overwrite {
            let message = format!(
                "illegal merging strategy 'OVERWRITING' for '{}' option",
                option.feature.word()
            );
            return Err(self.invalid(option.span, message));
        }
        Ok(())
    }

    // --- materialized tables ---

    fn create_materialized_table(&mut self, prefix: Prefix) -> Result<CreateMaterializedTable> {
        self.expect_word("MATERIALIZED")?;
        if self.is_word("VIEW") {
            return Err(self.unexpected_with_hint("write CREATE MATERIALIZED TABLE"));
        }
        self.expect_word("TABLE")?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let schema = if self.is_sign(Sign::LeftParen) {
            self.table_schema()?
        } else {
            TableSchema::default()
        };
        let comment = self.comment()?;
        let distribution = self.distributed()?;
        let partitioned_by = self.partitioned_by()?;
        let connection = self.using_connection()?;
        let options = self.with_options()?;
        let start_mode = self.start_mode()?;
        let mut freshness = None;
        if self.eat_word("FRESHNESS") {
            self.expect_sign(Sign::Equals)?;
            freshness = Some(self.interval()?);
        }
        let mut refresh_mode = None;
        if self.eat_word("REFRESH_MODE") {
            self.expect_sign(Sign::Equals)?;
            refresh_mode = Some(self.refresh_mode()?);
        }
        self.expect_word("AS")?;
        let query = Box::new(self.query()?);
        Ok(CreateMaterializedTable {
            mode: prefix.mode,
            if_not_exists,
            name,
            schema,
            comment,
            distribution,
            partitioned_by,
            connection,
            options,
            start_mode,
            freshness,
            refresh_mode,
            query,
        })
    }

    /// `FULL` or `CONTINUOUS`.
    pub(super) fn refresh_mode(&mut self) -> Result<RefreshMode> {
        let modes = [RefreshMode::Full, RefreshMode::Continuous];
        self.expect_any_word(&["FULL", "CONTINUOUS"])
            .map(|index| modes[index])
    }

    fn start_mode(&mut self) -> Result<Option<StartMode>> {
        if !self.eat_word("START_MODE") {
            return Ok(None);
        }
        self.expect_sign(Sign::Equals)?;
        let start = self.span();
        let kinds = [
            StartModeKind::FromBeginning,
            StartModeKind::FromNow,
            StartModeKind::FromTimestamp,
            StartModeKind::ResumeOrFromBeginning,
            StartModeKind::ResumeOrFromNow,
            StartModeKind::ResumeOrFromTimestamp,
        ];
        let index = self.expect_any_word(&[
            "FROM_BEGINNING",
            "FROM_NOW",
            "FROM_TIMESTAMP",
            "RESUME_OR_FROM_BEGINNING",
            "RESUME_OR_FROM_NOW",
            "RESUME_OR_FROM_TIMESTAMP",
        ])?;
        let kind = kinds[index];
        let needs_argument = matches!(
            kind,
            StartModeKind::FromTimestamp | StartModeKind::ResumeOrFromTimestamp
        );
        let may_have_argument =
            needs_argument || matches!(kind, StartModeKind::FromNow | StartModeKind::ResumeOrFromNow);
        let mut argument = None;
        if needs_argument || (may_have_argument && self.is_sign(Sign::LeftParen)) {
            self.expect_sign(Sign::LeftParen)?;
            argument = Some(self.expr()?);
            self.expect_sign(Sign::RightParen)?;
        }
        Ok(Some(StartMode {
            kind,
            argument,
            span: self.span_from(start),
        }))
    }

    // --- other objects ---

    fn create_view(&mut self, prefix: Prefix) -> Result<CreateView> {
        self.expect_word("VIEW")?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let columns = if self.is_sign(Sign::LeftParen) {
            self.parenthesized_names()?
        } else {
            Vec::new()
        };
        let comment = self.comment()?;
        self.expect_word("AS")?;
        let query = Box::new(self.query()?);
        Ok(CreateView {
            mode: prefix.mode,
            temporary: prefix.temporary,
            if_not_exists,
            name,
            columns,
            comment,
            query,
        })
    }

    fn create_database(&mut self) -> Result<CreateDatabase> {
        self.expect_word("DATABASE")?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let comment = self.comment()?;
        Ok(CreateDatabase {
            if_not_exists,
            name,
            comment,
            options: self.with_options()?,
        })
    }

    fn create_catalog(&mut self) -> Result<CreateCatalog> {
        self.expect_word("CATALOG")?;
        let if_not_exists = self.if_not_exists();
        let name = self.identifier()?;
        let comment = self.comment()?;
        Ok(CreateCatalog {
            if_not_exists,
            name,
            comment,
            options: self.with_options()?,
        })
    }

    fn create_function(&mut self, prefix: Prefix) -> Result<CreateFunction> {
        self.expect_word("FUNCTION")?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let definition = self.function_definition()?;
        Ok(CreateFunction {
            temporary: prefix.temporary,
            system: prefix.system,
            if_not_exists,
            name,
            definition,
        })
    }

    /// `AS 'class' [LANGUAGE l] [USING JAR 'uri', …] [WITH (…)]`.
    pub(super) fn function_definition(&mut self) -> Result<FunctionDefinition> {
        self.expect_word("AS")?;
        let class = self.string_literal()?;
        let mut language = None;
        if self.eat_word("LANGUAGE") {
            let languages = [
                FunctionLanguage::Java,
                FunctionLanguage::Scala,
                FunctionLanguage::Sql,
                FunctionLanguage::Python,
            ];
            language = Some(languages[self.expect_any_word(&["JAVA", "SCALA", "SQL", "PYTHON"])?]);
        }
        let mut resources = Vec::new();
        if self.eat_word("USING") {
            resources = self.comma_separated(|parser| {
                let kinds = [ResourceKind::Jar, ResourceKind::Artifact];
                let kind = kinds[parser.expect_any_word(&["JAR", "ARTIFACT"])?];
                Ok(FunctionResource {
                    kind,
                    uri: parser.string_literal()?,
                })
            })?;
        }
        Ok(FunctionDefinition {
            class,
            language,
            resources,
            options: self.with_options()?,
        })
    }

    fn create_model(&mut self, prefix: Prefix) -> Result<CreateModel> {
        self.expect_word("MODEL")?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let mut input = Vec::new();
        if self.eat_word("INPUT") {
            input = self.parenthesized_list(Self::column_definition)?;
        }
        let mut output = Vec::new();
        if self.eat_word("OUTPUT") {
            output = self.parenthesized_list(Self::column_definition)?;
        }
        let comment = self.comment()?;
        let options = if self.eat_word("WITH") {
            Some(self.option_list()?)
        } else {
            None
        };
        let query = if self.eat_word("AS") {
            Some(Box::new(self.query()?))
        } else {
            None
        };
        Ok(CreateModel {
            mode: prefix.mode,
            temporary: prefix.temporary,
            if_not_exists,
            name,
            input,
            output,
            comment,
            options,
            query,
        })
    }

    fn create_connection(&mut self, prefix: Prefix) -> Result<CreateConnection> {
        self.expect_word("CONNECTION")?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let comment = self.comment()?;
        self.expect_word("WITH")?;
        let options = self.option_list()?;
        Ok(CreateConnection {
            temporary: prefix.temporary,
            system: prefix.system,
            if_not_exists,
            name,
            comment,
            options,
        })
    }
}
