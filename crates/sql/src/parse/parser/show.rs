//! SHOW and DESCRIBE.

use super::{Expected, Parser, Result};
use crate::parse::ast::{DescribeStatement, ObjectKind, Preposition, ShowFilter, ShowScope, ShowStatement};

impl Parser<'_> {
    pub(super) fn show(&mut self) -> Result<ShowStatement> {
        self.expect_word("SHOW")?;
        let subjects = [
            "CATALOGS",
            "DATABASES",
            "TABLES",
            "VIEWS",
            "FUNCTIONS",
            "PROCEDURES",
            "MODELS",
            "CONNECTIONS",
            "COLUMNS",
            "PARTITIONS",
            "MODULES",
            "JARS",
            "JOBS",
            "CURRENT",
            "MATERIALIZED",
            "USER",
            "FULL",
            "CREATE",
        ];
        let subject = match self.eat_any_word(&subjects) {
            Some(index) => subjects[index],
            None => return Err(self.unknown_subject(&subjects)),
        };
        match subject {
            "CATALOGS" => Ok(ShowStatement::Catalogs {
                filter: self.show_filter(true)?,
            }),
            "JARS" => Ok(ShowStatement::Jars),
            "JOBS" => Ok(ShowStatement::Jobs),
            "MODULES" => Ok(ShowStatement::Modules { full: false }),
            "FULL" => {
                self.expect_word("MODULES")?;
                Ok(ShowStatement::Modules { full: true })
            }
            "CURRENT" => Ok(match self.expect_any_word(&["CATALOG", "DATABASE"])? {
                0 => ShowStatement::CurrentCatalog,
                _ => ShowStatement::CurrentDatabase,
            }),
            "COLUMNS" => self.show_columns(),
            "PARTITIONS" => {
                let table = self.object_name()?;
                let partition = if self.is_word("PARTITION") {
                    Some(self.partition_spec(false)?)
                } else {
                    None
                };
                Ok(ShowStatement::Partitions { table, partition })
            }
            "CREATE" => self.show_create(),
            _ => self.show_objects(subject),
        }
    }

    fn unknown_subject(&mut self, subjects: &[&'static str]) -> crate::parse::ParseError {
        let singular = self.word().map(str::to_ascii_uppercase).unwrap_or_default();
        let plural = subjects
            .iter()
            .find(|subject| subject.strip_suffix('S') == Some(&singular));
        match plural {
            Some(plural) => self.unexpected_with_hint(format!("did you mean SHOW {plural}?")),
            None => self.unexpected(),
        }
    }

    /// The subjects that take `FROM scope` and a pattern.
    fn show_objects(&mut self, subject: &str) -> Result<ShowStatement> {
        let user = subject == "USER";
        if user {
            self.expect_word("FUNCTIONS")?;
        }
        let materialized = subject == "MATERIALIZED";
        if materialized {
            self.expect_word("TABLES")?;
        }
        let from = self.show_scope()?;
        let knows_ilike = matches!(
            subject,
            "DATABASES" | "FUNCTIONS" | "USER" | "PROCEDURES" | "CONNECTIONS"
        );
        let filter = self.show_filter(knows_ilike)?;
        Ok(match subject {
            "DATABASES" => ShowStatement::Databases { from, filter },
            "TABLES" => ShowStatement::Tables { from, filter },
            "MATERIALIZED" => ShowStatement::MaterializedTables { from, filter },
            "VIEWS" => ShowStatement::Views { from, filter },
            "PROCEDURES" => ShowStatement::Procedures { from, filter },
            "MODELS" => ShowStatement::Models { from, filter },
            "CONNECTIONS" => ShowStatement::Connections { from, filter },
            _ => ShowStatement::Functions { user, from, filter },
        })
    }

    /// `[FROM | IN] name`.
    fn show_scope(&mut self) -> Result<Option<ShowScope>> {
        let prepositions = [Preposition::From, Preposition::In];
        let Some(index) = self.eat_any_word(&["FROM", "IN"]) else {
            return Ok(None);
        };
        let name = self.object_name()?;
        Ok(Some(ShowScope {
            preposition: prepositions[index],
            name,
        }))
    }

    /// `[[NOT] LIKE 'pattern']`, and ILIKE for the subjects that know it.
    fn show_filter(&mut self, knows_ilike: bool) -> Result<Option<ShowFilter>> {
        let negated = self.eat_word("NOT");
        let words: &[&'static str] = if knows_ilike {
            &["LIKE", "ILIKE"]
        } else {
            &["LIKE"]
        };
        let Some(index) = self.eat_any_word(words) else {
            return if negated { Err(self.unexpected()) } else { Ok(None) };
        };
        let pattern = self.string_literal()?;
        Ok(Some(ShowFilter {
            negated,
            case_insensitive: index == 1,
            pattern,
        }))
    }

    fn show_columns(&mut self) -> Result<ShowStatement> {
        let Some(table) = self.show_scope()? else {
            return Err(self.unexpected());
        };
        Ok(ShowStatement::Columns {
            table,
            filter: self.show_filter(false)?,
        })
    }

    fn show_create(&mut self) -> Result<ShowStatement> {
        let or_alter = self.eat_words(&["OR", "ALTER"]);
        if self.eat_word("MATERIALIZED") {
            self.expect_word("TABLE")?;
            let name = self.object_name()?;
            return Ok(ShowStatement::Create {
                kind: ObjectKind::MaterializedTable,
                or_alter,
                name,
            });
        }
        if or_alter {
            return Err(self.unexpected());
        }
        self.note(Expected::Word("MATERIALIZED"));
        let kinds = [
            ObjectKind::Table,
            ObjectKind::View,
            ObjectKind::Catalog,
            ObjectKind::Model,
            ObjectKind::Connection,
        ];
        let kind = kinds[self.expect_any_word(&["TABLE", "VIEW", "CATALOG", "MODEL", "CONNECTION"])?];
        Ok(ShowStatement::Create {
            kind,
            or_alter,
            name: self.object_name()?,
        })
    }

    pub(super) fn describe(&mut self) -> Result<DescribeStatement> {
        self.expect_any_word(&["DESCRIBE", "DESC"])?;
        // The words are not reserved ones: a table may have one of them as its name.
        let names_kind = self.is_identifier_at(1) || self.is_word_at(1, "EXTENDED");
        if self.is_word("JOB") && matches!(self.peek_at(1).kind, crate::parse::token::TokenKind::String(_)) {
            self.advance();
            return Ok(DescribeStatement::Job {
                id: self.string_literal()?,
            });
        }
        let kinds = ["CATALOG", "DATABASE", "FUNCTION", "MODEL", "CONNECTION"];
        let kind = if names_kind {
            self.eat_any_word(&kinds)
        } else {
            None
        };
        let extended = self.eat_word("EXTENDED");
        if kind == Some(0) {
            return Ok(DescribeStatement::Catalog {
                extended,
                name: self.identifier()?,
            });
        }
        let name = self.object_name()?;
        Ok(match kind {
            Some(1) => DescribeStatement::Database { extended, name },
            Some(2) => DescribeStatement::Function { extended, name },
            Some(3) => DescribeStatement::Model { extended, name },
            Some(4) => DescribeStatement::Connection { extended, name },
            _ => DescribeStatement::Table { extended, name },
        })
    }
}
