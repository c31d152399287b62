//! INSERT, UPDATE, DELETE, and compiled plans of them.

use super::{Expected, Parser, Result};
use crate::parse::ast::{
    Assignment, ConflictBehavior, Delete, Insert, ObjectName, PlanStatement, Statement, StatementKind, Update,
};
use crate::parse::token::Sign;

impl Parser<'_> {
    pub(super) fn insert(&mut self) -> Result<Insert> {
        let start = self.span();
        if self.is_word("UPSERT") {
            let mut error = self.invalid(self.span(), "UPSERT INTO statement is not supported");
            error.hint = Some("write INSERT INTO: a sink with a primary key updates by it".to_owned());
            return Err(error);
        }
        self.expect_word("INSERT")?;
        let overwrite = self.eat_word("OVERWRITE");
        if !overwrite && !self.eat_word("INTO") {
            return Err(self.unexpected_with_hint("write INSERT INTO table"));
        }
        if self.is_word("TABLE") && self.is_identifier_at(1) {
            return Err(self.unexpected_with_hint("leave out the word TABLE: INSERT INTO name"));
        }
        let target = self.object_name()?;
        let hints = self.hints()?;
        let partition = if self.is_word("PARTITION") {
            Some(self.partition_spec(false)?)
        } else {
            None
        };
        let columns = self.insert_columns()?;
        if self.is_word("FROM") {
            return Err(self.unexpected_with_hint("write INSERT INTO s SELECT … FROM t"));
        }
        let source = Box::new(self.query()?);
        let on_conflict = self.on_conflict()?;
        let span = self.span_from(start);
        Ok(Insert {
            overwrite,
            target,
            hints,
            partition,
            columns,
            source,
            on_conflict,
            span,
        })
    }

    /// `(column, …)`, unless the parenthesis begins the query.
    fn insert_columns(&mut self) -> Result<Vec<ObjectName>> {
        if !self.is_sign(Sign::LeftParen) || self.starts_query_inside() {
            return Ok(Vec::new());
        }
        self.parenthesized_list(Self::object_name)
    }

    fn on_conflict(&mut self) -> Result<Option<ConflictBehavior>> {
        if !self.eat_word("ON") {
            return Ok(None);
        }
        self.expect_words(&["CONFLICT", "DO"])?;
        let behaviors = [
            ConflictBehavior::Error,
            ConflictBehavior::Nothing,
            ConflictBehavior::Deduplicate,
        ];
        self.expect_any_word(&["ERROR", "NOTHING", "DEDUPLICATE"])
            .map(|index| Some(behaviors[index]))
    }

    pub(super) fn update(&mut self) -> Result<Update> {
        self.expect_word("UPDATE")?;
        let target = self.object_name()?;
        let hints = self.hints()?;
        let alias = if self.eat_word("AS") {
            Some(self.identifier()?)
        } else {
            self.eat_identifier()
        };
        self.expect_word("SET")?;
        let assignments = self.comma_separated(|parser| {
            let column = parser.identifier()?;
            parser.expect_sign(Sign::Equals)?;
            Ok(Assignment {
                column,
                value: parser.expr()?,
            })
        })?;
        let condition = if self.eat_word("WHERE") {
            Some(self.expr()?)
        } else {
            None
        };
        Ok(Update {
            target,
            hints,
            alias,
            assignments,
            condition,
        })
    }

    pub(super) fn delete(&mut self) -> Result<Delete> {
        self.expect_words(&["DELETE", "FROM"])?;
        let target = self.object_name()?;
        let hints = self.hints()?;
        let alias = if self.eat_word("AS") {
            Some(self.identifier()?)
        } else {
            self.eat_identifier()
        };
        let condition = if self.eat_word("WHERE") {
            Some(self.expr()?)
        } else {
            None
        };
        Ok(Delete {
            target,
            hints,
            alias,
            condition,
        })
    }

    // --- compiled plans ---

    pub(super) fn compile(&mut self) -> Result<PlanStatement> {
        self.expect_word("COMPILE")?;
        if self.eat_word("AND") {
            self.expect_words(&["EXECUTE", "PLAN"])?;
            let path = self.string_literal()?;
            self.expect_word("FOR")?;
            let statement = Box::new(self.planned_statement()?);
            return Ok(PlanStatement::CompileAndExecute { path, statement });
        }
        self.expect_word("PLAN")?;
        let path = self.string_literal()?;
        let if_not_exists = self.if_not_exists();
        self.expect_word("FOR")?;
        let statement = Box::new(self.planned_statement()?);
        Ok(PlanStatement::Compile {
            path,
            if_not_exists,
            statement,
        })
    }

    pub(super) fn execute_plan(&mut self) -> Result<PlanStatement> {
        self.expect_word("PLAN")?;
        self.string_literal().map(|path| PlanStatement::Execute { path })
    }

    fn planned_statement(&mut self) -> Result<Statement> {
        let start = self.span();
        let kind = if self.is_word("STATEMENT") {
            StatementKind::StatementSet(self.statement_set(start)?)
        } else if self.at_word("INSERT") {
            StatementKind::Insert(Box::new(self.insert()?))
        } else {
            self.note(Expected::Word("STATEMENT"));
            return Err(self.unexpected());
        };
        Ok(Statement {
            kind,
            span: self.span_from(start),
        })
    }
}
