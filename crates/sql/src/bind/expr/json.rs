//! The JSON functions of the SQL standard, as plain calls.
//!
//! Their clauses become literals among the arguments, at the places that the functions' modules name: behaviours are
//! words, a default is its value (NULL if absent), RETURNING is a NULL of the type.

use millstream_plan::Expr;
use millstream_types::{ErrorCode, LogicalType, Scalar};

use super::{ExprBinder, aggregate::AggregateParts};
use crate::bind::coerce;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::types::bind_type;
use crate::parse::ast::{
    self, DataType, JsonElement, JsonEntry, JsonExistsOnError, JsonFunction, JsonOnNull, JsonQueryBehavior,
    JsonQueryFunction, JsonValueBehavior, JsonWrapper,
};
use crate::parse::span::Span;

impl ExprBinder<'_, '_> {
    pub(super) fn bind_json(&mut self, function: &JsonFunction, span: Span) -> SqlResult<Expr> {
        match function {
            JsonFunction::Exists {
                input,
                path,
                on_error,
            } => {
                let mut args = vec![self.bind(input)?, self.bind(path)?];
                let word = match on_error {
                    None | Some(JsonExistsOnError::False) => "FALSE",
                    Some(JsonExistsOnError::True) => "TRUE",
                    Some(JsonExistsOnError::Unknown) => "UNKNOWN",
                    Some(JsonExistsOnError::Error) => "ERROR",
                };
                args.push(coerce::text(word));
                self.call(span, "JSON_EXISTS", args)
            }
            JsonFunction::Value {
                input,
                path,
                returning,
                on_empty,
                on_error,
            } => self.bind_json_value(
                [input, path],
                returning.as_ref(),
                [on_empty.as_ref(), on_error.as_ref()],
                span,
            ),
            JsonFunction::Query(query) => self.bind_json_query(query, span),
            JsonFunction::Object { entries, on_null } => self.bind_json_object(entries, *on_null, span),
            JsonFunction::Array { elements, on_null } => self.bind_json_array(elements, *on_null, span),
            JsonFunction::ObjectAgg {
                entry,
                on_null,
                filter,
                over,
            } => self.bind_aggregate_parts(AggregateParts {
                name: "JSON_OBJECTAGG",
                values: vec![&entry.key, &entry.value.value],
                parameter: Some(Scalar::Boolean(*on_null == Some(JsonOnNull::Absent))),
                filter: filter.as_ref(),
                over: over.as_ref(),
                order_by: &[],
                span,
            }),
            JsonFunction::ArrayAgg {
                element,
                order_by,
                on_null,
                filter,
                over,
            } => self.bind_aggregate_parts(AggregateParts {
                name: "JSON_ARRAYAGG",
                values: vec![&element.value],
                parameter: Some(Scalar::Boolean(*on_null != Some(JsonOnNull::Null))),
                filter: filter.as_ref(),
                over: over.as_ref(),
                order_by,
                span,
            }),
        }
    }

    fn bind_json_object(
        &mut self,
        entries: &[JsonEntry],
        on_null: Option<JsonOnNull>,
        span: Span,
    ) -> SqlResult<Expr> {
        let mut members = Vec::new();
        let mut raw = String::new();
        for JsonEntry { key, value } in entries {
            members.push(self.bind(key)?);
            members.push(self.bind_json_element(value, &mut raw)?);
        }
        let mut args = vec![null_clause(on_null, JsonOnNull::Null), coerce::text(&raw)];
        args.extend(members);
        self.call(span, "JSON_OBJECT", args)
    }

    fn bind_json_array(
        &mut self,
        elements: &[JsonElement],
        on_null: Option<JsonOnNull>,
        span: Span,
    ) -> SqlResult<Expr> {
        let mut values = Vec::new();
        let mut raw = String::new();
        for element in elements {
            values.push(self.bind_json_element(element, &mut raw)?);
        }
        let mut args = vec![null_clause(on_null, JsonOnNull::Absent), coerce::text(&raw)];
        args.extend(values);
        self.call(span, "JSON_ARRAY", args)
    }

    fn bind_json_value(
        &mut self,
        [input, path]: [&ast::Expr; 2],
        returning: Option<&DataType>,
        [on_empty, on_error]: [Option<&JsonValueBehavior>; 2],
        span: Span,
    ) -> SqlResult<Expr> {
        let returned = returning
            .map(bind_type)
            .transpose()?
            .unwrap_or(LogicalType::STRING)
            .with_nullable(true);
        let mut args = vec![self.bind(input)?, self.bind(path)?];
        for behavior in [on_empty, on_error] {
            let (word, default) = match behavior {
                None | Some(JsonValueBehavior::Null) => ("NULL", None),
                Some(JsonValueBehavior::Error) => ("ERROR", None),
                Some(JsonValueBehavior::Default(default)) => ("DEFAULT", Some(self.bind(default)?)),
            };
            args.push(coerce::text(word));
            let default = default.unwrap_or_else(|| Expr::literal(Scalar::Null, LogicalType::NULL));
            args.push(coerce::cast_to(default, &returned));
        }
        if returning.is_some() {
            args.push(Expr::literal(Scalar::Null, returned));
        }
        self.call(span, "JSON_VALUE", args)
    }

    fn bind_json_query(&mut self, query: &JsonQueryFunction, span: Span) -> SqlResult<Expr> {
        let wrapper = match query.wrapper {
            None | Some(JsonWrapper::Without) => "WITHOUT",
            Some(JsonWrapper::Conditional) => "CONDITIONAL",
            Some(JsonWrapper::Unconditional) => "UNCONDITIONAL",
        };
        let mut args = vec![
            self.bind(&query.input)?,
            self.bind(&query.path)?,
            coerce::text(wrapper),
        ];
        for behavior in [query.on_empty, query.on_error] {
            args.push(coerce::text(match behavior {
                None | Some(JsonQueryBehavior::Null) => "NULL",
                Some(JsonQueryBehavior::Error) => "ERROR",
                Some(JsonQueryBehavior::EmptyArray) => "EMPTY ARRAY",
                Some(JsonQueryBehavior::EmptyObject) => "EMPTY OBJECT",
            }));
        }
        if let Some(returning) = &query.returning {
            args.push(Expr::literal(
                Scalar::Null,
                bind_type(returning)?.with_nullable(true),
            ));
        }
        self.call(span, "JSON_QUERY", args)
    }

    /// A value inside JSON_OBJECT or JSON_ARRAY; `raw` notes whether it is JSON text already.
    fn bind_json_element(&mut self, element: &JsonElement, raw: &mut String) -> SqlResult<Expr> {
        let value = match &element.value.kind {
            ast::ExprKind::Function(call) if call.name.is_word("JSON") => {
                let args = self.positional(call)?;
                self.call(call.span, "JSON", args)?
            }
            _ => self.bind(&element.value)?,
        };
        let is_text = value.ty().is_character();
        if element.format_json && !is_text {
            return Err(
                SqlError::at(element.value.span, "FORMAT JSON takes a character string")
                    .with_code(ErrorCode::TypeMismatch),
            );
        }
        let is_json = matches!(&value, Expr::Call { function, .. } if matches!(function.as_str(), "JSON_OBJECT" | "JSON_ARRAY" | "JSON"));
        raw.push(if element.format_json || is_json { '1' } else { '0' });
        Ok(value)
    }
}

fn null_clause(written: Option<JsonOnNull>, default: JsonOnNull) -> Expr {
    match written.unwrap_or(default) {
        JsonOnNull::Null => coerce::text("NULL"),
        JsonOnNull::Absent => coerce::text("ABSENT"),
    }
}
