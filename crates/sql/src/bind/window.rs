//! Windows: the sizes of legacy group windows, and the window table functions TUMBLE, HOP, CUMULATE and SESSION.

use std::borrow::Cow;

use millstream_functions::typing::sql_type_name;
use millstream_plan::{Expr as Value, WindowKind};
use millstream_types::{ErrorCode, LogicalType, Scalar, Schema, TimeAttribute, TypeKind};

use super::error::{SqlError, SqlResult};
use super::expr::{Calls, Clause, ExprBinder};
use super::logical::{Rel, RelKind};
use super::query::Environment;
use super::scope::{Relation, Scope};
use super::{Binder, coerce};
use crate::parse::ast::{
    ArgumentValue, Expr, ExprKind, FunctionArgument, FunctionCall, TableArgument, TableArgumentSource,
};
use crate::parse::span::Span;

/// The arguments of a window function after the table and the time column.
struct Form {
    name: &'static str,
    /// The intervals' names, in order; those from `required` on are optional.
    intervals: &'static [&'static str],
    required: usize,
    syntax: &'static str,
}

const FORMS: [Form; 4] = [
    Form {
        name: "TUMBLE",
        intervals: &["SIZE", "OFFSET"],
        required: 1,
        syntax: "TUMBLE(TABLE table_name, DESCRIPTOR(timecol), datetime interval[, datetime interval])",
    },
    Form {
        name: "HOP",
        intervals: &["SLIDE", "SIZE", "OFFSET"],
        required: 2,
        syntax: "HOP(TABLE table_name, DESCRIPTOR(timecol), datetime interval, datetime interval[, datetime interval])",
    },
    Form {
        name: "CUMULATE",
        intervals: &["STEP", "SIZE", "OFFSET"],
        required: 2,
        syntax: "CUMULATE(TABLE table_name, DESCRIPTOR(timecol), datetime interval, datetime interval[, datetime interval])",
    },
    Form {
        name: "SESSION",
        intervals: &["GAP"],
        required: 1,
        syntax: "SESSION(TABLE table_name [PARTITION BY columns], DESCRIPTOR(timecol), datetime interval)",
    },
];

/// Whether `name` is a window table function.
pub fn is_window_function(name: &str) -> bool {
    FORMS.iter().any(|form| form.name.eq_ignore_ascii_case(name))
}

/// Arguments by parameter.
struct Arguments<'c> {
    table: Cow<'c, TableArgument>,
    time: &'c crate::parse::ast::Ident,
    intervals: Vec<(&'static str, &'c Expr)>,
}

impl Binder<'_> {
    /// `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL …))`.
    pub(super) fn bind_window_function(
        &self,
        call: &FunctionCall,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<Rel> {
        let upper = call.name.to_string().to_uppercase();
        let form = FORMS
            .iter()
            .find(|form| form.name == upper)
            .ok_or_else(|| SqlError::internal(format!("{upper} is not a window function")))?;
        let arguments = arrange(form, call)?;
        let (input, scope) = self.bind_table_argument(&arguments.table, environment, outer)?;
        let time = time_column(form, &input, arguments.time, self.config.streaming)?;
        let mut calls = Calls::default();
        let mut binder = ExprBinder::new(self, &scope, environment, &mut calls, Clause::TableFunction);
        let mut intervals = Vec::new();
        for (name, expr) in &arguments.intervals {
            let value = binder.bind(expr)?;
            let millis = interval_ms(&value).map_err(|reason| match reason {
                NotAnInterval::Months => month_interval(expr.span),
                NotAnInterval::Other => wrong_types(form, &input, call, &value),
            })?;
            intervals.push((*name, millis));
        }
        let partition = arguments
            .table
            .partition_by
            .iter()
            .map(|expr| match binder.bind(expr)? {
                Value::Column { index, .. } => Ok(index),
                _ => Err(
                    SqlError::at(expr.span, "PARTITION BY of a window function takes columns")
                        .with_code(ErrorCode::InvalidWindow),
                ),
            })
            .collect::<SqlResult<Vec<usize>>>()?;
        let kind = window_kind(form.name, &intervals, call.span)?;
        let schema = window_schema(&input.schema, time);
        let kind = RelKind::Window {
            time,
            kind,
            partition,
            span: call.span,
        };
        Ok(Rel::new(kind, vec![input], schema))
    }

    fn bind_table_argument(
        &self,
        argument: &TableArgument,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<(Rel, Scope<'static>)> {
        match &argument.source {
            TableArgumentSource::Table(name) => self.bind_table_name(name, &[], None, environment),
            TableArgumentSource::Query(query) => {
                let rel = self.bind_query_in(query, environment, outer)?;
                let relation = Relation::new(None, Vec::new(), &rel.schema, 0);
                Ok((
                    rel,
                    Scope {
                        relations: vec![relation],
                        ..Scope::default()
                    },
                ))
            }
        }
    }
}

/// Assigns positional and named arguments to parameters.
fn arrange<'c>(form: &Form, call: &'c FunctionCall) -> SqlResult<Arguments<'c>> {
    let arguments = call.arguments();
    let most = 2 + form.intervals.len();
    let counted = |found: usize| {
        let wanted = (2 + form.required..=most)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(" or ");
        let message = format!(
            "Invalid number of arguments to function '{}'. Was expecting {wanted} arguments, found {found}",
            form.name
        );
        SqlError::at(call.span, message)
            .with_code(ErrorCode::InvalidWindow)
            .with_hint(format!("write {}", form.syntax))
    };
    if arguments.len() > most {
        return Err(counted(arguments.len()));
    }
    let (mut table, mut time, mut intervals) = (None, None, Vec::new());
    for (position, argument) in arguments.iter().enumerate() {
        let slot = slot_of(form, argument, position)?;
        match (slot, &argument.value) {
            (0, ArgumentValue::Table(value)) => table = Some(Cow::Borrowed(value)),
            (
                0,
                ArgumentValue::Expr(Expr {
                    kind: ExprKind::Subquery(query),
                    span,
                }),
            ) => {
                let source = TableArgumentSource::Query(query.clone());
                let argument = TableArgument {
                    source,
                    partition_by: Vec::new(),
                    order_by: Vec::new(),
                    span: *span,
                };
                table = Some(Cow::Owned(argument));
            }
            (1, ArgumentValue::Descriptor(columns)) => time = columns.first().map(|column| &column.name),
            (slot, ArgumentValue::Expr(expr)) if slot >= 2 => {
                intervals.push((form.intervals[slot - 2], expr))
            }
            _ => {
                let message = format!(
                    "Cannot apply '{}' to arguments of this kind. Supported form(s): {}",
                    form.name, form.syntax
                );
                return Err(SqlError::at(argument.span, message).with_code(ErrorCode::InvalidWindow));
            }
        }
    }
    let required = form.intervals[..form.required]
        .iter()
        .all(|name| intervals.iter().any(|(n, _)| n == name));
    match (table, time) {
        (Some(table), Some(time)) if required => Ok(Arguments {
            table,
            time,
            intervals,
        }),
        _ => Err(counted(arguments.len())),
    }
}

fn slot_of(form: &Form, argument: &FunctionArgument, position: usize) -> SqlResult<usize> {
    let Some(name) = &argument.name else {
        return Ok(position);
    };
    let names = ["DATA", "TIMECOL"].iter().chain(form.intervals);
    let upper = name.value.to_uppercase();
    names.clone().position(|known| *known == upper).ok_or_else(|| {
        let message = format!("function {} has no argument '{}'", form.name, name.value);
        SqlError::at(argument.span, message)
            .with_code(ErrorCode::InvalidWindow)
            .offering(&upper, names.copied())
    })
}

fn time_column(
    form: &Form,
    input: &Rel,
    name: &crate::parse::ast::Ident,
    streaming: bool,
) -> SqlResult<usize> {
    let Some(index) = input.schema.index_of(&name.value) else {
        let message = format!(
            "Unknown identifier '{}' in DESCRIPTOR: the table has no such column",
            name.value
        );
        let columns = input.schema.columns.iter().map(|c| c.name.as_str());
        return Err(SqlError::at(name.span, message)
            .with_code(ErrorCode::UnknownColumn)
            .offering(&name.value, columns));
    };
    let ty = &input.schema.columns[index].ty;
    let is_time = ty.is_timestamp_like() && (!streaming || ty.is_time_attribute());
    if is_time {
        return Ok(index);
    }
    Err(SqlError::at(name.span, not_a_time_attribute(form.name, ty))
        .with_code(ErrorCode::InvalidWindow)
        .with_hint(
            "declare a WATERMARK for a TIMESTAMP(3) or TIMESTAMP_LTZ(3) column in CREATE TABLE; \
         a text column needs a computed column such as TO_TIMESTAMP(text) first",
        ))
}

/// Flink's error for an invalid time column.
pub fn not_a_time_attribute(function: &str, ty: &LogicalType) -> String {
    let syntax = FORMS
        .iter()
        .find(|form| form.name == function)
        .map_or(function, |form| form.syntax);
    format!(
        "The window function {syntax} requires the timecol is a time attribute type, but is {}",
        ty.without_time_attribute().with_nullable(true)
    )
}

/// The input's columns and the window's.
fn window_schema(input: &Schema, time: usize) -> Schema {
    let columns = input.columns.iter().map(|c| (c.name.clone(), c.ty.clone()));
    Schema::new(columns.chain(window_columns(&input.columns[time].ty)))
}

/// `window_start`, `window_end`, `window_time` for a time column of `time` type.
pub fn window_columns(time: &LogicalType) -> [(String, LogicalType); 3] {
    let bound = LogicalType::not_null(TypeKind::Timestamp {
        precision: 3,
        attribute: TimeAttribute::None,
    });
    let attribute = time.time_attribute();
    let kind = match time.kind {
        TypeKind::TimestampLtz { .. } => TypeKind::TimestampLtz {
            precision: 3,
            attribute,
        },
        _ => TypeKind::Timestamp {
            precision: 3,
            attribute,
        },
    };
    [
        ("window_start".to_owned(), bound.clone()),
        ("window_end".to_owned(), bound),
        ("window_time".to_owned(), LogicalType::not_null(kind)),
    ]
}

pub(super) enum NotAnInterval {
    Months,
    Other,
}

pub(super) fn interval_ms(value: &Value) -> Result<i64, NotAnInterval> {
    match coerce::literal_of(value) {
        Some(Scalar::IntervalDayTime(millis)) => Ok(*millis),
        Some(Scalar::IntervalYearMonth(_)) => Err(NotAnInterval::Months),
        _ => Err(NotAnInterval::Other),
    }
}

fn month_interval(span: Span) -> SqlError {
    SqlError::at(
        span,
        "Window aggregate only support SECOND, MINUTE, HOUR, DAY as the time unit. \
         MONTH and YEAR time unit are not supported yet",
    )
    .with_code(ErrorCode::InvalidWindow)
}

fn wrong_types(form: &Form, input: &Rel, call: &FunctionCall, value: &Value) -> SqlError {
    let row: Vec<String> = input
        .schema
        .columns
        .iter()
        .map(|c| format!("{} {}", sql_type_name(&c.ty), c.name))
        .collect();
    let message = format!(
        "Cannot apply '{}' to arguments of type '{}(<ROW({})>, <DESCRIPTOR>, <{}>)'. Supported form(s): {}",
        form.name,
        form.name,
        row.join(", "),
        sql_type_name(&value.ty()),
        form.syntax
    );
    SqlError::at(call.span, message)
        .with_code(ErrorCode::InvalidWindow)
        .with_hint("sizes are literals such as INTERVAL '10' SECOND")
}

/// Validates the sizes and builds the window.
fn window_kind(function: &str, intervals: &[(&'static str, i64)], span: Span) -> SqlResult<WindowKind> {
    let get = |name: &str| {
        intervals
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(0, |(_, ms)| *ms)
    };
    let (size_ms, offset_ms) = (get("SIZE"), get("OFFSET"));
    // The offset between consecutive windows, under its own name.
    let (size_name, step_name, step_ms) = match function {
        "TUMBLE" => ("size", "size", size_ms),
        "HOP" => ("size", "slide", get("SLIDE")),
        "CUMULATE" => ("maxSize", "step", get("STEP")),
        _ => ("gap", "gap", get("GAP")),
    };
    let requires = |what: String| {
        let message = format!("{function} table function based aggregate requires {what}");
        Err(SqlError::at(span, message).with_code(ErrorCode::InvalidWindow))
    };
    let is_one = size_name == step_name;
    if is_one && step_ms <= 0 {
        return requires(format!("{step_name} to be positive, but got {step_ms} ms"));
    }
    if !is_one && (size_ms <= 0 || step_ms <= 0) {
        return requires(format!(
            "{size_name} and {step_name} to be positive, but got {size_name} {size_ms} ms and {step_name} {step_ms} ms"
        ));
    }
    if !is_one && size_ms % step_ms != 0 && function != "HOP" {
        return requires(format!(
            "{size_name} must be an integral multiple of {step_name}, but got {size_name} {size_ms} ms and \
             {step_name} {step_ms} ms"
        ));
    }
    if offset_ms.abs() >= step_ms {
        let message = format!(
            "{function} parameters must satisfy abs(offset) < {step_ms} ms, but got offset {offset_ms} ms"
        );
        return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidWindow));
    }
    Ok(match function {
        "TUMBLE" => WindowKind::Tumble { size_ms, offset_ms },
        "HOP" => WindowKind::Hop {
            slide_ms: step_ms,
            size_ms,
            offset_ms,
        },
        "CUMULATE" => WindowKind::Cumulate {
            step_ms,
            size_ms,
            offset_ms,
        },
        _ => WindowKind::Session { gap_ms: step_ms },
    })
}

/// The window of `GROUP BY TUMBLE(ts, size)`, `HOP(ts, slide, size)` or `SESSION(ts, gap)`.
pub fn group_window(function: &str, intervals: &[Value], span: Span) -> SqlResult<WindowKind> {
    let millis = intervals
        .iter()
        .map(|value| {
            interval_ms(value).map_err(|reason| match reason {
                NotAnInterval::Months => month_interval(span),
                NotAnInterval::Other => {
                    let message = format!(
                        "Cannot apply '{function}' to arguments of type '{function}(<TIMESTAMP>, <{}>)': \
                         sizes are interval literals",
                        sql_type_name(&value.ty())
                    );
                    SqlError::at(span, message).with_code(ErrorCode::InvalidWindow)
                }
            })
        })
        .collect::<SqlResult<Vec<i64>>>()?;
    let wanted = if function == "HOP" { 2 } else { 1 };
    if millis.len() != wanted || millis.iter().any(|ms| *ms <= 0) {
        let message = format!(
            "function '{function}' in GROUP BY takes a time column and {wanted} positive interval(s)"
        );
        return Err(SqlError::at(span, message).with_code(ErrorCode::InvalidWindow));
    }
    Ok(match (function, millis.as_slice()) {
        ("TUMBLE", [size_ms]) => WindowKind::Tumble {
            size_ms: *size_ms,
            offset_ms: 0,
        },
        ("HOP", [slide_ms, size_ms]) => WindowKind::Hop {
            slide_ms: *slide_ms,
            size_ms: *size_ms,
            offset_ms: 0,
        },
        (_, [gap_ms, ..]) => WindowKind::Session { gap_ms: *gap_ms },
        _ => return Err(SqlError::internal("a window without sizes")),
    })
}
