//! ALTER.

use super::{Parser, Result};
use crate::parse::ast::{
    AlterFunction, AlterMaterializedTable, AlterMaterializedTableAction, AlterOptions, AlterStatement,
    AlterTable, AlterTableAction, AlterView, ColumnChange, ColumnPosition, PartitionToAdd, SchemaChange,
};
use crate::parse::token::Sign;

impl Parser<'_> {
    pub(super) fn alter(&mut self) -> Result<AlterStatement> {
        self.expect_word("ALTER")?;
        if self.is_any_word(&["TEMPORARY", "FUNCTION"]) {
            return self.alter_function_or_connection();
        }
        if self.eat_word("TABLE") {
            return self
                .alter_table()
                .map(|table| AlterStatement::Table(Box::new(table)));
        }
        if self.eat_word("MATERIALIZED") {
            self.expect_word("TABLE")?;
            return self
                .alter_materialized_table()
                .map(AlterStatement::MaterializedTable);
        }
        if self.eat_word("VIEW") {
            return self.alter_view();
        }
        if self.eat_word("DATABASE") {
            let name = self.object_name()?;
            return Ok(AlterStatement::Database {
                name,
                action: self.set_reset_comment(false)?,
            });
        }
        if self.eat_word("CATALOG") {
            let name = self.identifier()?;
            return Ok(AlterStatement::Catalog {
                name,
                action: self.set_reset_comment(false)?,
            });
        }
        if self.eat_word("MODEL") {
            let if_exists = self.if_exists();
            let name = self.object_name()?;
            return Ok(AlterStatement::Model {
                if_exists,
                name,
                action: self.set_reset_comment(true)?,
            });
        }
        if self.is_word("CONNECTION") {
            return self.alter_function_or_connection();
        }
        self.at_word("FUNCTION");
        self.at_word("CONNECTION");
        Err(self.unexpected())
    }

    /// `SET (…)`, `RESET (…)`, `COMMENT '…'` and, where allowed, `RENAME TO name`.
    fn set_reset_comment(&mut self, may_rename: bool) -> Result<AlterOptions> {
        if self.eat_word("SET") {
            return self.option_list().map(AlterOptions::Set);
        }
        if self.eat_word("RESET") {
            return self.option_keys().map(AlterOptions::Reset);
        }
        if may_rename && self.eat_words(&["RENAME", "TO"]) {
            return self.object_name().map(AlterOptions::Rename);
        }
        if self.eat_word("COMMENT") {
            return self.string_literal().map(AlterOptions::Comment);
        }
        Err(self.unexpected())
    }

    fn alter_function_or_connection(&mut self) -> Result<AlterStatement> {
        let temporary = self.eat_word("TEMPORARY");
        let system = temporary && self.eat_word("SYSTEM");
        if self.eat_word("CONNECTION") {
            let if_exists = self.if_exists();
            let name = self.object_name()?;
            let action = self.set_reset_comment(true)?;
            return Ok(AlterStatement::Connection {
                temporary,
                system,
                if_exists,
                name,
                action,
            });
        }
        self.expect_word("FUNCTION")?;
        let if_exists = self.if_exists();
        let name = self.object_name()?;
        let definition = self.function_definition()?;
        Ok(AlterStatement::Function(AlterFunction {
            temporary,
            system,
            if_exists,
            name,
            definition,
        }))
    }

    fn alter_view(&mut self) -> Result<AlterStatement> {
        let name = self.object_name()?;
        if self.eat_word("RENAME") {
            self.expect_word("TO")?;
            let action = AlterView::Rename(self.object_name()?);
            return Ok(AlterStatement::View { name, action });
        }
        self.expect_word("AS")?;
        let action = AlterView::As(Box::new(self.query()?));
        Ok(AlterStatement::View { name, action })
    }

    fn alter_table(&mut self) -> Result<AlterTable> {
        let if_exists = self.if_exists();
        let name = self.object_name()?;
        let start = self.span();
        let action = self.alter_table_action()?;
        Ok(AlterTable {
            if_exists,
            name,
            action,
            action_span: self.span_from(start),
        })
    }

    fn alter_table_action(&mut self) -> Result<AlterTableAction> {
        if self.eat_word("RENAME") {
            return self.alter_rename();
        }
        if self.eat_word("SET") {
            return self.option_list().map(AlterTableAction::Set);
        }
        if self.eat_word("RESET") {
            return self.option_keys().map(AlterTableAction::Reset);
        }
        if self.eat_word("ADD") {
            return self.alter_add();
        }
        if self.eat_word("MODIFY") {
            return self.schema_change().map(AlterTableAction::Modify);
        }
        if self.eat_word("DROP") {
            return self.alter_drop();
        }
        if self.is_word("PARTITION") {
            let partition = self.partition_spec(false)?;
            self.expect_word("COMPACT")?;
            return Ok(AlterTableAction::Compact { partition });
        }
        Err(self.unexpected())
    }

    fn alter_rename(&mut self) -> Result<AlterTableAction> {
        if self.eat_word("TO") {
            return self.object_name().map(AlterTableAction::Rename);
        }
        self.refuse_word_column("RENAME name TO name")?;
        let from = self.object_name()?;
        self.expect_word("TO")?;
        Ok(AlterTableAction::RenameColumn {
            from,
            to: self.identifier()?,
        })
    }

    /// COLUMN is not part of Flink's grammar, but users commonly write it.
    fn refuse_word_column(&mut self, form: &str) -> Result<()> {
        if self.is_word("COLUMN") || (self.is_word("COLUMNS") && self.is_sign_at(1, Sign::LeftParen)) {
            return Err(self.unexpected_with_hint(format!("leave this word out: {form}")));
        }
        Ok(())
    }

    fn alter_add(&mut self) -> Result<AlterTableAction> {
        self.refuse_word_column("ADD name type, or ADD (name type, …)")?;
        let if_not_exists = self.is_words(&["IF", "NOT", "EXISTS"]) && self.if_not_exists();
        if if_not_exists || self.is_word("PARTITION") {
            let mut partitions = Vec::new();
            while partitions.is_empty() || self.is_word("PARTITION") {
                let partition = self.partition_spec(false)?;
                partitions.push(PartitionToAdd {
                    partition,
                    options: self.with_options()?,
                });
            }
            return Ok(AlterTableAction::AddPartitions {
                if_not_exists,
                partitions,
            });
        }
        self.schema_change().map(AlterTableAction::Add)
    }

    /// One element, or several in parentheses.
    fn schema_change(&mut self) -> Result<SchemaChange> {
        self.refuse_word_column("MODIFY name type, or MODIFY (name type, …)")?;
        let mut change = SchemaChange::default();
        let start = self.span();
        if self.eat_word("DISTRIBUTION") {
            change.distribution = Some(self.distribution(start)?);
        } else if self.is_sign(Sign::LeftParen) {
            self.parenthesized_list(|parser| parser.schema_change_element(&mut change))?;
        } else {
            self.schema_change_element(&mut change)?;
        }
        Ok(change)
    }

    fn schema_change_element(&mut self, change: &mut SchemaChange) -> Result<()> {
        if self.at_constraint() {
            change.constraints.push(self.table_constraint()?);
            return Ok(());
        }
        if self.is_word("WATERMARK") {
            let watermark = self.watermark()?;
            if change.watermark.is_some() {
                return Err(self.second_watermark(watermark.span));
            }
            change.watermark = Some(watermark);
            return Ok(());
        }
        let column = self.column_definition()?;
        let mut position = None;
        if self.eat_word("FIRST") {
            position = Some(ColumnPosition::First);
        } else if self.eat_word("AFTER") {
            position = Some(ColumnPosition::After(self.object_name()?));
        }
        change.columns.push(ColumnChange { column, position });
        Ok(())
    }

    fn alter_drop(&mut self) -> Result<AlterTableAction> {
        self.refuse_word_column("DROP name, or DROP (name, …)")?;
        if self.is_words(&["IF", "EXISTS"]) || self.is_word("PARTITION") {
            let if_exists = self.if_exists();
            let mut partitions = vec![self.partition_spec(false)?];
            while self.eat_sign(Sign::Comma) {
                partitions.push(self.partition_spec(false)?);
            }
            return Ok(AlterTableAction::DropPartitions {
                if_exists,
                partitions,
            });
        }
        if self.eat_word("PRIMARY") {
            self.expect_word("KEY")?;
            return Ok(AlterTableAction::DropPrimaryKey);
        }
        if self.eat_word("CONSTRAINT") {
            return self.identifier().map(AlterTableAction::DropConstraint);
        }
        if self.eat_word("WATERMARK") {
            return Ok(AlterTableAction::DropWatermark);
        }
        if self.eat_word("DISTRIBUTION") {
            return Ok(AlterTableAction::DropDistribution);
        }
        if self.is_sign(Sign::LeftParen) {
            return self
                .parenthesized_list(Self::object_name)
                .map(AlterTableAction::DropColumns);
        }
        self.object_name()
            .map(|column| AlterTableAction::DropColumns(vec![column]))
    }

    fn alter_materialized_table(&mut self) -> Result<AlterMaterializedTable> {
        let name = self.object_name()?;
        let action = self.alter_materialized_table_action()?;
        Ok(AlterMaterializedTable { name, action })
    }

    fn alter_materialized_table_action(&mut self) -> Result<AlterMaterializedTableAction> {
        if self.eat_word("SUSPEND") {
            return Ok(AlterMaterializedTableAction::Suspend);
        }
        if self.eat_word("RESUME") {
            return self.with_options().map(AlterMaterializedTableAction::Resume);
        }
        if self.eat_word("REFRESH") {
            let partition = if self.is_word("PARTITION") {
                Some(self.partition_spec(false)?)
            } else {
                None
            };
            return Ok(AlterMaterializedTableAction::Refresh(partition));
        }
        if self.eat_word("AS") {
            return self
                .query()
                .map(|query| AlterMaterializedTableAction::As(Box::new(query)));
        }
        if self.eat_words(&["SET", "FRESHNESS"]) {
            self.expect_sign(Sign::Equals)?;
            return self.interval().map(AlterMaterializedTableAction::SetFreshness);
        }
        if self.eat_words(&["SET", "REFRESH_MODE"]) {
            self.expect_sign(Sign::Equals)?;
            return self
                .refresh_mode()
                .map(AlterMaterializedTableAction::SetRefreshMode);
        }
        let action = self.alter_table_action()?;
        Ok(AlterMaterializedTableAction::Table(Box::new(action)))
    }
}
