//! Which statement it is, and what surrounds it: scripts, EXPLAIN, statement sets.

use millstream_types::ErrorCode;

use super::{Expected, Parser, Result};
use crate::parse::ast::{
    CreateStatement, DropBehavior, DropStatement, Explain, ExplainDetail, ObjectKind, Span, Statement,
    StatementKind, StatementSet,
};
use crate::parse::diagnostics::ParseError;
use crate::parse::similar::nearest;
use crate::parse::token::Sign;

/// Words that begin a statement.
pub(in crate::parse) const STATEMENT_WORDS: [&str; 36] = [
    "ADD", "ALTER", "ANALYZE", "BEGIN", "CALL", "CLEAR", "COMPILE", "CREATE", "DELETE", "DESC", "DESCRIBE",
    "DROP", "END", "EXECUTE", "EXIT", "EXPLAIN", "HELP", "INSERT", "LOAD", "QUIT", "REMOVE", "REPLACE",
    "RESET", "SELECT", "SET", "SHOW", "STOP", "TABLE", "TRUNCATE", "UNLOAD", "UPDATE", "UPSERT", "USE",
    "VALUES", "WITH", "FROM",
];

impl Parser<'_> {
    /// Skips `;` that separate nothing.
    fn skip_separators(&mut self) {
        while self.is_sign(Sign::Semicolon) {
            self.advance();
        }
    }

    /// The only statement of the text; a `;` may end it.
    pub(in crate::parse) fn only_statement(&mut self) -> Result<Statement> {
        let statement = self.statement()?;
        if !self.is_sign(Sign::Semicolon) {
            self.expect_end()?;
        }
        self.skip_separators();
        let second = self.span();
        // As in Flink, a mistake in what follows comes first.
        if self.script()?.is_empty() {
            return Ok(statement);
        }
        let mut error = self.error(ErrorCode::SyntaxError, second, "only single statement supported");
        error.hint = Some("send each statement by itself".to_owned());
        Err(error)
    }

    /// All statements of a script.
    pub(in crate::parse) fn script(&mut self) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        self.skip_separators();
        while !self.is_end() {
            statements.push(self.statement()?);
            if !self.is_sign(Sign::Semicolon) {
                self.expect_end()?;
            }
            self.skip_separators();
        }
        Ok(statements)
    }

    /// Demands that nothing follows.
    pub(in crate::parse) fn expect_end(&mut self) -> Result<()> {
        if self.is_end() {
            return Ok(());
        }
        self.note(Expected::Thing("the end of the statement"));
        Err(self.unexpected())
    }

    pub(super) fn statement(&mut self) -> Result<Statement> {
        let start = self.span();
        let kind = self.statement_kind()?;
        Ok(Statement {
            kind,
            span: self.span_from(start),
        })
    }

    fn statement_kind(&mut self) -> Result<StatementKind> {
        if self.is_sign(Sign::LeftParen) || self.starts_query() {
            return self.query_statement();
        }
        let word = self.word().map(str::to_ascii_uppercase).unwrap_or_default();
        match word.as_str() {
            "CREATE" | "REPLACE" => self.create().map(StatementKind::Create),
            "ALTER" => self.alter().map(|alter| StatementKind::Alter(Box::new(alter))),
            "DROP" => self.drop_statement().map(StatementKind::Drop),
            "INSERT" | "UPSERT" => self
                .insert()
                .map(|insert| StatementKind::Insert(Box::new(insert))),
            "UPDATE" => self
                .update()
                .map(|update| StatementKind::Update(Box::new(update))),
            "DELETE" => self
                .delete()
                .map(|delete| StatementKind::Delete(Box::new(delete))),
            "EXECUTE" => self.execute(),
            "COMPILE" => self.compile().map(StatementKind::Plan),
            "BEGIN" => self.begin_statement_set(),
            "END" => {
                self.advance();
                Ok(StatementKind::EndStatementSet)
            }
            "EXPLAIN" => self
                .explain()
                .map(|explain| StatementKind::Explain(Box::new(explain))),
            "DESCRIBE" | "DESC" => self.describe().map(StatementKind::Describe),
            "SHOW" => self.show().map(StatementKind::Show),
            _ => match self.session_statement(&word)? {
                Some(kind) => Ok(kind),
                None => Err(self.no_statement()),
            },
        }
    }

    fn query_statement(&mut self) -> Result<StatementKind> {
        self.query().map(|query| StatementKind::Query(Box::new(query)))
    }

    /// The error for a text that begins like no statement.
    fn no_statement(&self) -> ParseError {
        if self.is_end() {
            return self.error(
                ErrorCode::UnexpectedEnd,
                self.span(),
                "encountered end of input; there is no statement",
            );
        }
        let text = self.span().text(self.sql);
        if self.is_word("MERGE") {
            let rest = &self.sql[self.span().start..];
            let message = format!("Unsupported query: {}", super::shortened(rest.trim_end()));
            return self.error(ErrorCode::SyntaxError, self.span(), message);
        }
        let message = format!(
            "non-query expression encountered in illegal context: no statement begins with '{}'",
            super::shortened(text)
        );
        let mut error = self.error(ErrorCode::SyntaxError, self.span(), message);
        error.hint = match text.to_ascii_uppercase().as_str() {
            "FROM" => Some(
                "the form FROM t SELECT … INTO s is gone: write INSERT INTO s SELECT … FROM t".to_owned(),
            ),
            "LIST" | "PRINT" | "TERMINATE" => {
                Some("this is a command of ksqlDB: see SHOW TABLES, SELECT, STOP JOB".to_owned())
            }
            "SOURCE" => Some("run a file with millstream run FILE.sql".to_owned()),
            _ => nearest(text, STATEMENT_WORDS).map(|meant| format!("did you mean {meant}?")),
        };
        error
    }

    // --- EXPLAIN ---

    fn explain(&mut self) -> Result<Explain> {
        self.expect_word("EXPLAIN")?;
        let mut details = Vec::new();
        if self.eat_word("PLAN") {
            self.expect_word("FOR")?;
        } else if self.at_explain_detail() {
            details = self.comma_separated(Self::explain_detail)?;
        }
        let statement = self.explained_statement(details.is_empty())?;
        Ok(Explain { details, statement })
    }

    fn at_explain_detail(&mut self) -> bool {
        [
            "ESTIMATED_COST",
            "CHANGELOG_MODE",
            "JSON_EXECUTION_PLAN",
            "PLAN_ADVICE",
        ]
        .into_iter()
        .any(|word| self.at_word(word))
    }

    fn explain_detail(&mut self) -> Result<ExplainDetail> {
        let details = [
            ExplainDetail::EstimatedCost,
            ExplainDetail::ChangelogMode,
            ExplainDetail::JsonExecutionPlan,
            ExplainDetail::PlanAdvice,
        ];
        let words = [
            "ESTIMATED_COST",
            "CHANGELOG_MODE",
            "JSON_EXECUTION_PLAN",
            "PLAN_ADVICE",
        ];
        self.expect_any_word(&words).map(|index| details[index])
    }

    fn explained_statement(&mut self, details_are_missing: bool) -> Result<Statement> {
        let start = self.span();
        if self.is_words(&["STATEMENT", "SET"]) {
            let set = self.statement_set(start)?;
            return Ok(Statement {
                kind: StatementKind::StatementSet(set),
                span: self.span_from(start),
            });
        }
        let is_explainable = self.is_sign(Sign::LeftParen)
            || self.starts_query()
            || self.is_any_word(&[
                "INSERT", "UPSERT", "EXECUTE", "CREATE", "REPLACE", "ALTER", "UPDATE", "DELETE",
            ]);
        if !is_explainable {
            let text = self.span().text(self.sql);
            let is_statement = STATEMENT_WORDS.contains(&text.to_ascii_uppercase().as_str());
            if details_are_missing && !self.is_end() && (!is_statement || self.is_word("ANALYZE")) {
                let message = format!(
                    "non-query expression encountered in illegal context: EXPLAIN knows no detail '{}'",
                    super::shortened(text)
                );
                let mut error = self.error(ErrorCode::SyntaxError, self.span(), message);
                error.hint = Some(
                    "the details are ESTIMATED_COST, CHANGELOG_MODE, JSON_EXECUTION_PLAN and PLAN_ADVICE"
                        .to_owned(),
                );
                return Err(error);
            }
            return Err(self.unexpected_thing("a query, INSERT or STATEMENT SET"));
        }
        self.statement()
    }

    // --- statement sets ---

    fn execute(&mut self) -> Result<StatementKind> {
        let start = self.span();
        self.expect_word("EXECUTE")?;
        if self.is_words(&["STATEMENT", "SET"]) {
            return self.statement_set(start).map(StatementKind::StatementSet);
        }
        if self.is_word("PLAN") {
            return self.execute_plan().map(StatementKind::Plan);
        }
        if self.is_any_word(&["INSERT", "UPSERT"]) {
            return self
                .insert()
                .map(|insert| StatementKind::Insert(Box::new(insert)));
        }
        if self.is_sign(Sign::LeftParen) || self.starts_query() {
            return self.query_statement();
        }
        for word in ["STATEMENT", "PLAN", "INSERT", "SELECT"] {
            self.note(Expected::Word(word));
        }
        Err(self.unexpected())
    }

    /// `STATEMENT SET BEGIN statement; … END`.
    pub(super) fn statement_set(&mut self, start: Span) -> Result<StatementSet> {
        self.expect_words(&["STATEMENT", "SET", "BEGIN"])?;
        let mut statements = Vec::new();
        while !self.is_word("END") || statements.is_empty() {
            statements.push(self.statement_of_set()?);
            if !self.is_sign(Sign::Semicolon) {
                self.note(Expected::Sign(Sign::Semicolon));
                return Err(self.unexpected_with_hint("each statement of a set ends with ;"));
            }
            self.skip_separators();
        }
        self.expect_word("END")?;
        Ok(StatementSet {
            statements,
            span: self.span_from(start),
        })
    }

    /// INSERT or CREATE TABLE … AS.
    fn statement_of_set(&mut self) -> Result<Statement> {
        let start = self.span();
        if self.at_word("INSERT") || self.is_word("UPSERT") {
            let insert = self.insert()?;
            return Ok(Statement {
                kind: StatementKind::Insert(Box::new(insert)),
                span: self.span_from(start),
            });
        }
        if !(self.at_word("CREATE") || self.is_word("REPLACE")) {
            return Err(
                self.unexpected_with_hint("a statement set holds INSERT and CREATE TABLE … AS statements")
            );
        }
        let create = self.create()?;
        let span = self.span_from(start);
        let is_table_as = matches!(&create, CreateStatement::Table(table) if table.query.is_some());
        if !is_table_as {
            return Err(self.invalid(
                span,
                "a statement set holds only INSERT and CREATE TABLE … AS statements",
            ));
        }
        Ok(Statement {
            kind: StatementKind::Create(create),
            span,
        })
    }

    fn begin_statement_set(&mut self) -> Result<StatementKind> {
        self.expect_words(&["BEGIN", "STATEMENT", "SET"])?;
        Ok(StatementKind::BeginStatementSet)
    }

    // --- DROP ---

    fn drop_statement(&mut self) -> Result<DropStatement> {
        self.expect_word("DROP")?;
        let temporary = self.eat_word("TEMPORARY");
        let system = temporary && self.eat_word("SYSTEM");
        let kind = self.droppable_kind(temporary, system)?;
        let if_exists = self.if_exists();
        let name = self.object_name()?;
        let mut behavior = None;
        if kind == ObjectKind::Database {
            let behaviors = [DropBehavior::Restrict, DropBehavior::Cascade];
            behavior = self
                .eat_any_word(&["RESTRICT", "CASCADE"])
                .map(|index| behaviors[index]);
        }
        Ok(DropStatement {
            kind,
            temporary,
            system,
            if_exists,
            name,
            behavior,
        })
    }

    fn droppable_kind(&mut self, temporary: bool, system: bool) -> Result<ObjectKind> {
        if system {
            let kinds = [ObjectKind::Function, ObjectKind::Connection];
            return self
                .expect_any_word(&["FUNCTION", "CONNECTION"])
                .map(|index| kinds[index]);
        }
        if temporary {
            let kinds = [
                ObjectKind::Table,
                ObjectKind::View,
                ObjectKind::Function,
                ObjectKind::Model,
                ObjectKind::Connection,
            ];
            let words = ["TABLE", "VIEW", "FUNCTION", "MODEL", "CONNECTION"];
            return self.expect_any_word(&words).map(|index| kinds[index]);
        }
        if self.eat_word("MATERIALIZED") {
            self.expect_word("TABLE")?;
            return Ok(ObjectKind::MaterializedTable);
        }
        self.object_kind()
    }

    /// One of the words for the kinds of catalog objects.
    pub(super) fn object_kind(&mut self) -> Result<ObjectKind> {
        let kinds = [
            ObjectKind::Table,
            ObjectKind::View,
            ObjectKind::Database,
            ObjectKind::Catalog,
            ObjectKind::Function,
            ObjectKind::Model,
            ObjectKind::Connection,
        ];
        let words = [
            "TABLE",
            "VIEW",
            "DATABASE",
            "CATALOG",
            "FUNCTION",
            "MODEL",
            "CONNECTION",
        ];
        if let Some(index) = self.eat_any_word(&words) {
            return Ok(kinds[index]);
        }
        let is_schema = self.is_word("SCHEMA");
        let error = self.unexpected();
        Err(if is_schema {
            self.unexpected_with_hint("write DATABASE")
        } else {
            error
        })
    }
}
