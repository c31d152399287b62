//! What stands in the parentheses of CREATE TABLE and ALTER TABLE: columns, constraints, watermarks, and beside them
//! distribution and partitions.

use super::name::A_NAME;
use super::{Expected, Parser, Result};
use crate::parse::ast::{
    BucketCount, ColumnDefinition, ColumnKind, ConstraintKind, Distribution, DistributionKind, Ident,
    PartitionEntry, PartitionSpec, Span, TableConstraint, TableSchema, Watermark,
};
use crate::parse::token::{Sign, TokenKind};

impl Parser<'_> {
    /// `( element, … )`.
    pub(super) fn table_schema(&mut self) -> Result<TableSchema> {
        let start = self.span();
        let mut schema = TableSchema::default();
        self.expect_sign(Sign::LeftParen)?;
        self.comma_separated(|parser| parser.schema_element(&mut schema))?;
        self.expect_sign(Sign::RightParen)?;
        schema.span = self.span_from(start);
        Ok(schema)
    }

    fn schema_element(&mut self, schema: &mut TableSchema) -> Result<()> {
        if self.at_constraint() {
            schema.constraints.push(self.table_constraint()?);
            return Ok(());
        }
        if self.is_word("WATERMARK") && !self.is_word_at(1, "FOR") {
            let name = self.span().text(self.sql);
            let message =
                format!("'FOR' is missing behind WATERMARK: as the name of a column write `{name}`");
            return Err(self.invalid(self.span(), message));
        }
        if self.is_word("WATERMARK") {
            let watermark = self.watermark()?;
            if schema.watermark.is_some() {
                return Err(self.second_watermark(watermark.span));
            }
            schema.watermark = Some(watermark);
            return Ok(());
        }
        let name = self.column_name()?;
        if self.is_sign(Sign::Comma) || self.is_sign(Sign::RightParen) {
            self.note(Expected::Thing("a data type"));
            schema.column_names.push(name);
            return Ok(());
        }
        schema.columns.push(self.column_after(name)?);
        Ok(())
    }

    pub(super) fn second_watermark(&self, span: Span) -> crate::parse::ParseError {
        self.invalid(span, "multiple WATERMARK declarations are not supported yet")
    }

    /// The name of a column, with advice if it is a reserved word.
    fn column_name(&mut self) -> Result<Ident> {
        if self.is_identifier_at(0) {
            return self.identifier();
        }
        self.note(Expected::Thing(A_NAME));
        Err(self.unexpected())
    }

    /// A column definition of any kind.
    pub(super) fn column_definition(&mut self) -> Result<ColumnDefinition> {
        let name = self.column_name()?;
        self.column_after(name)
    }

    fn column_after(&mut self, name: Ident) -> Result<ColumnDefinition> {
        let kind = if self.eat_word("AS") {
            ColumnKind::Computed(self.expr()?)
        } else {
            self.typed_column(&name)?
        };
        let comment = self.comment()?;
        let span = self.span_from(name.span);
        Ok(ColumnDefinition {
            name,
            kind,
            comment,
            span,
        })
    }

    fn typed_column(&mut self, name: &Ident) -> Result<ColumnKind> {
        if !self.at_data_type() {
            return Err(self.unexpected_thing("a data type"));
        }
        let data_type = self.data_type()?;
        if self.eat_word("METADATA") {
            let key = if self.eat_word("FROM") {
                Some(self.string_literal()?)
            } else {
                None
            };
            let is_virtual = self.eat_word("VIRTUAL");
            return Ok(ColumnKind::Metadata {
                data_type,
                key,
                is_virtual,
            });
        }
        let mut constraint = None;
        if self.at_constraint() {
            constraint = Some(self.column_constraint(name)?);
        }
        Ok(ColumnKind::Physical {
            data_type,
            constraint,
        })
    }

    // --- constraints ---

    pub(super) fn at_constraint(&mut self) -> bool {
        ["CONSTRAINT", "PRIMARY", "UNIQUE"]
            .into_iter()
            .any(|word| self.at_word(word))
    }

    /// `[CONSTRAINT name] PRIMARY KEY|UNIQUE`.
    fn constraint_head(&mut self) -> Result<(Option<Ident>, ConstraintKind)> {
        let name = if self.eat_word("CONSTRAINT") {
            Some(self.identifier()?)
        } else {
            None
        };
        if self.eat_word("UNIQUE") {
            return Ok((name, ConstraintKind::Unique));
        }
        self.expect_words(&["PRIMARY", "KEY"])?;
        Ok((name, ConstraintKind::PrimaryKey))
    }

    /// `[[NOT] ENFORCED]`.
    fn enforcement(&mut self) -> Option<bool> {
        if self.eat_words(&["NOT", "ENFORCED"]) {
            return Some(false);
        }
        self.eat_word("ENFORCED").then_some(true)
    }

    pub(super) fn table_constraint(&mut self) -> Result<TableConstraint> {
        let start = self.span();
        let (name, kind) = self.constraint_head()?;
        let columns = self.parenthesized_names()?;
        let enforced = self.enforcement();
        Ok(TableConstraint {
            name,
            kind,
            columns,
            enforced,
            span: self.span_from(start),
        })
    }

    fn column_constraint(&mut self, column: &Ident) -> Result<TableConstraint> {
        let start = self.span();
        let (name, kind) = self.constraint_head()?;
        let enforced = self.enforcement();
        Ok(TableConstraint {
            name,
            kind,
            columns: vec![column.clone()],
            enforced,
            span: self.span_from(start),
        })
    }

    /// `WATERMARK FOR column AS expr`.
    pub(super) fn watermark(&mut self) -> Result<Watermark> {
        let start = self.span();
        self.expect_word("WATERMARK")?;
        if !self.eat_word("FOR") {
            let hint = "write WATERMARK FOR column AS expression; as a column's name the word needs back-ticks, `watermark`";
            return Err(self.unexpected_with_hint(hint));
        }
        let column = self.object_name()?;
        self.expect_word("AS")?;
        let expr = self.expr()?;
        Ok(Watermark {
            column,
            expr,
            span: self.span_from(start),
        })
    }

    // --- distribution and partitions ---

    /// `BY [HASH|RANGE] (columns) [INTO n BUCKETS]` or `INTO n BUCKETS`, after the first word.
    pub(super) fn distribution(&mut self, start: Span) -> Result<Distribution> {
        let mut kind = DistributionKind::Unknown;
        let mut columns = Vec::new();
        let has_columns = self.eat_word("BY");
        if has_columns {
            let kinds = [DistributionKind::Hash, DistributionKind::Range];
            if let Some(index) = self.eat_any_word(&["HASH", "RANGE"]) {
                kind = kinds[index];
            }
            columns = self.parenthesized_names()?;
        }
        let mut bucket_count = None;
        if !has_columns || self.at_word("INTO") {
            self.expect_word("INTO")?;
            let span = self.span();
            if self.peek().kind != TokenKind::Number {
                return Err(self.unexpected_thing("a number of buckets"));
            }
            self.advance();
            self.expect_word("BUCKETS")?;
            bucket_count = Some(BucketCount {
                text: span.text(self.sql).to_owned(),
                span,
            });
        }
        Ok(Distribution {
            kind,
            columns,
            bucket_count,
            span: self.span_from(start),
        })
    }

    /// `[PARTITIONED BY (columns)]`.
    pub(super) fn partitioned_by(&mut self) -> Result<Vec<Ident>> {
        if !self.eat_word("PARTITIONED") {
            return Ok(Vec::new());
        }
        self.expect_word("BY")?;
        self.expect_sign(Sign::LeftParen)?;
        let columns = self.comma_separated(Self::identifier)?;
        if !self.eat_sign(Sign::RightParen) {
            let hint = "PARTITIONED BY lists names of columns that are declared in the table";
            return Err(self.unexpected_with_hint(hint));
        }
        Ok(columns)
    }

    /// `PARTITION (column = value, …)`; the value may be left out where `values_optional`.
    pub(super) fn partition_spec(&mut self, values_optional: bool) -> Result<PartitionSpec> {
        let start = self.span();
        self.expect_word("PARTITION")?;
        let entries = self.parenthesized_list(|parser| {
            let column = parser.identifier()?;
            let has_value = !values_optional || parser.is_sign(Sign::Equals);
            if has_value {
                parser.expect_sign(Sign::Equals)?;
            }
            let value = if has_value {
                Some(parser.partition_value()?)
            } else {
                None
            };
            Ok(PartitionEntry { column, value })
        })?;
        Ok(PartitionSpec {
            entries,
            span: self.span_from(start),
        })
    }

    /// A literal, perhaps with a sign.
    fn partition_value(&mut self) -> Result<crate::parse::ast::Expr> {
        let span = self.span();
        let value = self.expr()?;
        let is_constant = match &value.kind {
            crate::parse::ast::ExprKind::Literal(_) => true,
            crate::parse::ast::ExprKind::Unary { operand, .. } => {
                matches!(operand.kind, crate::parse::ast::ExprKind::Literal(_))
            }
            _ => false,
        };
        if is_constant {
            Ok(value)
        } else {
            Err(self.invalid(span, "the value of a partition must be a literal"))
        }
    }
}
