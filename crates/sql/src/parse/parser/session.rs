//! Statements about the session and the cluster: USE, SET, modules, jars, jobs, procedures, client commands.

use super::{Expected, Parser, Result};
use crate::parse::ast::{
    AnalyzeColumns, AnalyzeTable, ClientCommand, JarStatement, ModuleStatement, StatementKind, StopJob,
    UseStatement,
};
use crate::parse::token::Sign;

impl Parser<'_> {
    /// The statement that begins with `word`, if it is one of this file.
    pub(super) fn session_statement(&mut self, word: &str) -> Result<Option<StatementKind>> {
        let kind = match word {
            "USE" => self.use_statement().map(StatementKind::Use)?,
            "SET" => self.set()?,
            "RESET" => self.reset()?,
            "LOAD" | "UNLOAD" => self.module(word).map(StatementKind::Module)?,
            "ADD" | "REMOVE" => self.jar(word).map(StatementKind::Jar)?,
            "STOP" => self.stop_job().map(StatementKind::StopJob)?,
            "CALL" => {
                self.advance();
                StatementKind::Call(self.routine_call()?)
            }
            "TRUNCATE" => {
                self.expect_words(&["TRUNCATE", "TABLE"])?;
                StatementKind::Truncate {
                    name: self.object_name()?,
                }
            }
            "ANALYZE" => self.analyze().map(StatementKind::Analyze)?,
            "QUIT" | "EXIT" => self.client(ClientCommand::Quit),
            "CLEAR" => self.client(ClientCommand::Clear),
            "HELP" => self.client(ClientCommand::Help),
            _ => return Ok(None),
        };
        Ok(Some(kind))
    }

    fn client(&mut self, command: ClientCommand) -> StatementKind {
        self.advance();
        StatementKind::Client(command)
    }

    fn use_statement(&mut self) -> Result<UseStatement> {
        self.expect_word("USE")?;
        if self.eat_word("MODULES") {
            return self.comma_separated(Self::identifier).map(UseStatement::Modules);
        }
        let names_catalog = self.is_identifier_at(1);
        if names_catalog && self.eat_word("CATALOG") {
            return self.identifier().map(UseStatement::Catalog);
        }
        if names_catalog && self.is_word("DATABASE") {
            return Err(self.unexpected_with_hint("leave out the word DATABASE: USE name"));
        }
        self.note(Expected::Word("CATALOG"));
        self.object_name().map(UseStatement::Database)
    }

    /// `SET ['key' = 'value']`; the form without quotes never reaches the tokens.
    fn set(&mut self) -> Result<StatementKind> {
        self.expect_word("SET")?;
        if self.is_end() || self.is_sign(Sign::Semicolon) {
            return Ok(StatementKind::Set(None));
        }
        if !self.is_string() {
            self.note(Expected::Thing("a string in quotes"));
            return Err(self.unexpected_with_hint("write SET 'key' = 'value'"));
        }
        Ok(StatementKind::Set(Some(self.option()?)))
    }

    fn reset(&mut self) -> Result<StatementKind> {
        self.expect_word("RESET")?;
        if self.is_end() || self.is_sign(Sign::Semicolon) {
            return Ok(StatementKind::Reset(None));
        }
        self.string_literal().map(|key| StatementKind::Reset(Some(key)))
    }

    fn module(&mut self, word: &str) -> Result<ModuleStatement> {
        self.advance();
        self.expect_word("MODULE")?;
        let name = self.identifier()?;
        if word == "UNLOAD" {
            return Ok(ModuleStatement::Unload { name });
        }
        Ok(ModuleStatement::Load {
            name,
            options: self.with_options()?,
        })
    }

    fn jar(&mut self, word: &str) -> Result<JarStatement> {
        self.advance();
        self.expect_word("JAR")?;
        let path = self.string_literal()?;
        Ok(if word == "ADD" {
            JarStatement::Add(path)
        } else {
            JarStatement::Remove(path)
        })
    }

    fn stop_job(&mut self) -> Result<StopJob> {
        self.expect_words(&["STOP", "JOB"])?;
        let id = self.string_literal()?;
        let (mut with_savepoint, mut with_drain) = (false, false);
        while self.eat_word("WITH") {
            match self.expect_any_word(&["SAVEPOINT", "DRAIN"])? {
                0 => with_savepoint = true,
                _ => with_drain = true,
            }
        }
        Ok(StopJob {
            id,
            with_savepoint,
            with_drain,
        })
    }

    fn analyze(&mut self) -> Result<AnalyzeTable> {
        self.expect_words(&["ANALYZE", "TABLE"])?;
        let name = self.object_name()?;
        let partition = if self.is_word("PARTITION") {
            Some(self.partition_spec(true)?)
        } else {
            None
        };
        self.expect_words(&["COMPUTE", "STATISTICS"])?;
        let mut columns = AnalyzeColumns::None;
        if self.eat_word("FOR") {
            columns = if self.eat_word("ALL") {
                self.expect_word("COLUMNS")?;
                AnalyzeColumns::All
            } else {
                self.expect_word("COLUMNS")?;
                AnalyzeColumns::Some(self.comma_separated(Self::identifier)?)
            };
        }
        Ok(AnalyzeTable {
            name,
            partition,
            columns,
        })
    }
}
