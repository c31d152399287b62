//! Function calls in standard notation: built-in scalar functions, and those that the binder rewrites.

use millstream_functions::scalar::Determinism;
use millstream_functions::signature::{ArgInfo, SignatureError};
use millstream_functions::typing::sql_type_name;
use millstream_functions::{aggregate_function, all_aggregates, all_scalars, scalar_function, user};
use millstream_plan::Expr;
use millstream_types::{ErrorCode, LogicalType, Scalar, TimeAttribute, TypeKind};

use super::ExprBinder;
use crate::bind::coerce;
use crate::bind::error::{SqlError, SqlResult};
use crate::parse::ast::{ArgumentValue, FunctionCall, SetQuantifier};
use crate::parse::span::Span;

/// SQL standard functions, which stay available when the core module is unloaded.
const STANDARD_FUNCTIONS: [&str; 26] = [
    "UPPER",
    "LOWER",
    "CHAR_LENGTH",
    "CHARACTER_LENGTH",
    "ABS",
    "MOD",
    "POWER",
    "SQRT",
    "LN",
    "LOG10",
    "EXP",
    "FLOOR",
    "CEIL",
    "CEILING",
    "POSITION",
    "SUBSTRING",
    "TRIM",
    "OVERLAY",
    "COALESCE",
    "NULLIF",
    "CARDINALITY",
    "ELEMENT",
    "COUNT",
    "SUM",
    "MIN",
    "MAX",
];

/// A typed call of the built-in `function`, with arguments cast to its signature.
pub fn call(function: &str, args: Vec<Expr>) -> SqlResult<Expr> {
    let Some(declared) = scalar_function(function) else {
        return Err(unknown_function(function, &args, Span::default()));
    };
    // Functions take time attributes as plain data, except the one that inspects the attribute.
    let asks_attribute = declared.name == "CURRENT_WATERMARK";
    let plain = |ty: LogicalType| {
        if asks_attribute {
            ty
        } else {
            ty.without_time_attribute()
        }
    };
    let types: Vec<LogicalType> = args.iter().map(|arg| plain(arg.ty())).collect();
    let infos: Vec<ArgInfo<'_>> = types
        .iter()
        .zip(&args)
        .map(|(ty, arg)| ArgInfo {
            ty,
            literal: coerce::literal_of(arg),
        })
        .collect();
    let signature =
        user::scalar_signature(declared, &infos).map_err(|error| signature_error(error, declared.syntax))?;
    if let Some(distinct) = compared_with_itself(declared.name, &args) {
        return Ok(Expr::literal(Scalar::Boolean(distinct), signature.result));
    }
    let tests_equality = matches!(
        declared.name,
        "=" | "<>" | "IS DISTINCT FROM" | "IS NOT DISTINCT FROM"
    );
    let args: Vec<Expr> = args
        .into_iter()
        .zip(&signature.args)
        .map(|(arg, ty)| {
            if tests_equality && is_text_for_moment(&arg, ty) {
                arg
            } else {
                coerce::cast_to(arg, ty)
            }
        })
        .collect();
    let ty = if matches!(declared.name, "=" | "<>") {
        let reads_text = args
            .iter()
            .zip(&signature.args)
            .any(|(arg, ty)| is_text_for_moment(arg, ty));
        let nullable = signature.result.nullable || reads_text || args.iter().any(|arg| arg.ty().nullable);
        signature.result.with_nullable(nullable)
    } else {
        signature.result
    };
    Ok(Expr::Call {
        function: declared.name.to_owned(),
        args,
        ty,
    })
}

/// The result of IS [NOT] DISTINCT FROM between equal expressions: Flink does not compute it, so that it holds for NaN as well.
fn compared_with_itself(function: &str, args: &[Expr]) -> Option<bool> {
    let is_distinct = match function {
        "IS DISTINCT FROM" => true,
        "IS NOT DISTINCT FROM" => false,
        _ => return None,
    };
    let is_same = args.len() == 2 && args[0] == args[1] && is_deterministic(&args[0]);
    is_same.then_some(!is_distinct)
}

fn is_deterministic(expr: &Expr) -> bool {
    let here = match expr {
        Expr::Call { function, .. } => {
            scalar_function(function).is_some_and(|f| f.determinism == Determinism::Always)
        }
        _ => true,
    };
    here && expr.children().into_iter().all(is_deterministic)
}

/// Whether `arg` is a text that is compared for equality with a date, a time or a timestamp of type `ty`. Such a comparison takes
/// the text as it is: one that stands for no moment is equal to none, where a constant of this kind fails the statement.
fn is_text_for_moment(arg: &Expr, ty: &LogicalType) -> bool {
    arg.ty().is_character() && ty.is_datetime() && !arg.columns().is_empty()
}

/// The error of a signature mismatch, with a correct call as the hint.
pub(super) fn signature_error(error: SignatureError, syntax: &str) -> SqlError {
    let wants_syntax = matches!(error, SignatureError::Count { .. });
    let code = match error {
        SignatureError::Count { .. } => ErrorCode::WrongArguments,
        SignatureError::Types { .. } | SignatureError::Other(_) => ErrorCode::TypeMismatch,
    };
    let error = SqlError::new(capitalised(&error.to_string())).with_code(code);
    if wants_syntax {
        error.with_hint(format!("write {syntax}"))
    } else {
        error
    }
}

/// Flink's messages that users search for start with a capital letter.
fn capitalised(message: &str) -> String {
    match message.strip_prefix("cannot apply") {
        Some(rest) => format!("Cannot apply{rest}"),
        None => message.to_owned(),
    }
}

/// "no match found for function signature", with the nearest name.
pub fn unknown_function(name: &str, args: &[Expr], span: Span) -> SqlError {
    let types: Vec<String> = args
        .iter()
        .map(|arg| format!("<{}>", sql_type_name(&arg.ty())))
        .collect();
    let message = format!(
        "no match found for function signature {name}({})",
        types.join(", ")
    );
    let scalars = all_scalars().flat_map(|f| f.aliases.iter().copied().chain([f.name]));
    let aggregates = all_aggregates().flat_map(|f| f.aliases.iter().copied().chain([f.name]));
    let error = SqlError {
        span: None,
        ..SqlError::new(message).with_code(ErrorCode::UnknownFunction)
    };
    let error = match FOREIGN_FUNCTIONS
        .iter()
        .find(|(foreign, _)| foreign.eq_ignore_ascii_case(name))
    {
        Some((_, remedy)) => error.with_hint(format!("write {remedy}")),
        None => error.offering(name, scalars.chain(aggregates)),
    };
    if span.end > span.start {
        error.with_span(span)
    } else {
        error
    }
}

/// Functions of other systems, and their equivalents in Flink SQL.
const FOREIGN_FUNCTIONS: [(&str, &str); 12] = [
    ("LENGTH", "CHAR_LENGTH(string)"),
    ("LEN", "CHAR_LENGTH(string)"),
    ("NVL", "COALESCE(value, default) or IFNULL(value, default)"),
    ("ISNULL", "value IS NULL"),
    (
        "TO_CHAR",
        "DATE_FORMAT(timestamp, pattern) or CAST(value AS STRING)",
    ),
    ("DATEDIFF", "TIMESTAMPDIFF(DAY, start, end)"),
    ("DATE_ADD", "date + INTERVAL '1' DAY"),
    ("DATE_SUB", "date - INTERVAL '1' DAY"),
    ("GETDATE", "CURRENT_TIMESTAMP"),
    ("SYSDATE", "CURRENT_TIMESTAMP"),
    ("STRING_AGG", "LISTAGG(string, separator)"),
    ("GROUP_CONCAT", "LISTAGG(string, separator)"),
];

impl ExprBinder<'_, '_> {
    pub(super) fn bind_function(&mut self, function: &FunctionCall) -> SqlResult<Expr> {
        let span = function.span;
        let name = function.name.to_string();
        let upper = name.to_uppercase();
        if let Some(found) = self.binder.catalogs.user_function(&function.name) {
            if let Some(native) = found.native.clone() {
                return self.bind_native(function, &native);
            }
            return Err(SqlError::unsupported(
                span,
                format!("the user function {name} of class {}", found.class),
            ));
        }
        if function.name.as_simple().is_none() && scalar_function(&name).is_none() {
            let args = self.positional(function)?;
            return Err(unknown_function(&name, &args, function.name.span));
        }
        if let Some(auxiliary) = self.bind_group_window_part(&upper, function)? {
            return Ok(auxiliary);
        }
        if function.over.is_some()
            || aggregate_function(&upper).is_some() && scalar_function(&upper).is_none()
        {
            self.require_module(&upper, function)?;
            return self.bind_aggregate_call(function, &upper);
        }
        self.refuse_aggregate_clauses(function, &name)?;
        if matches!(upper.as_str(), "GROUPING" | "GROUPING_ID" | "GROUP_ID") {
            return self.bind_aggregate_call(function, &upper);
        }
        let args = self.positional(function)?;
        self.require_module(&upper, function)?;
        match upper.as_str() {
            "COALESCE" => self.coalesce(args, span),
            "IFNULL" if args.len() == 2 => self.ifnull(args, span),
            "IF" => self.bind_if(args, span),
            "NULLIF" => self.bind_nullif(args, span),
            "PROCTIME" if args.is_empty() => Ok(proctime()),
            "JSON" => Err(SqlError::at(
                span,
                "the JSON() function is only supported inside JSON_ARRAY() or as the VALUE of JSON_OBJECT()",
            )
            .with_code(ErrorCode::WrongArguments)
            .with_hint("a text that holds JSON is JSON already: leave JSON() out")),
            _ => match scalar_function(&upper) {
                Some(declared) => self.call(span, declared.name, args),
                None => Err(unknown_function(&name, &args, function.name.span)),
            },
        }
    }

    /// A call of a function that the program registered.
    fn bind_native(&mut self, function: &FunctionCall, native: &str) -> SqlResult<Expr> {
        if aggregate_function(native).is_some() {
            return self.bind_aggregate_call(function, native);
        }
        let name = function.name.to_string();
        self.refuse_aggregate_clauses(function, native)?;
        if user::is_table(native) {
            return Err(SqlError::at(
                function.span,
                format!("{name} is a table function and has no value of its own"),
            )
            .with_hint(format!("write LATERAL TABLE({name}(…)) in FROM")));
        }
        let args = self.positional(function)?;
        self.call(function.span, native, args)
    }

    /// The array of the rows of a table function.
    pub(in crate::bind) fn bind_table_function(&mut self, function: &FunctionCall) -> SqlResult<Expr> {
        let found = self.binder.catalogs.user_function(&function.name);
        let native = found
            .and_then(|found| found.native.clone())
            .filter(|native| user::is_table(native));
        let Some(native) = native else {
            return Err(SqlError::at(
                function.span,
                format!("{} is not a table function", function.name),
            ));
        };
        let args = self.positional(function)?;
        self.call(function.span, &native, args)
    }

    fn require_module(&self, upper: &str, function: &FunctionCall) -> SqlResult<()> {
        if self.binder.catalogs.is_core_module_used() || STANDARD_FUNCTIONS.contains(&upper) {
            return Ok(());
        }
        Err(unknown_function(upper, &[], function.name.span).with_hint("LOAD MODULE core brings it back"))
    }

    /// The positional arguments; other forms are rejected.
    pub(super) fn positional(&mut self, function: &FunctionCall) -> SqlResult<Vec<Expr>> {
        let mut args = Vec::new();
        for argument in function.arguments() {
            if let Some(name) = &argument.name {
                let message = format!(
                    "invalid signature: function {} takes no named arguments, found '{} =>'",
                    function.name, name.value
                );
                return Err(SqlError::at(argument.span, message)
                    .with_code(ErrorCode::WrongArguments)
                    .with_hint("give the arguments by position"));
            }
            match &argument.value {
                ArgumentValue::Expr(expr) => args.push(self.bind(expr)?),
                ArgumentValue::Star => {
                    return Err(SqlError::at(
                        argument.span,
                        format!("'*' is not an argument of {}", function.name),
                    )
                    .with_code(ErrorCode::WrongArguments));
                }
                ArgumentValue::Default => {
                    return Err(SqlError::unsupported(argument.span, "DEFAULT as an argument"));
                }
                ArgumentValue::Table(_) | ArgumentValue::Model(_) | ArgumentValue::Descriptor(_) => {
                    let message = format!("{} is not a table function", function.name);
                    return Err(SqlError::at(argument.span, message).with_code(ErrorCode::WrongArguments));
                }
            }
        }
        Ok(args)
    }

    fn refuse_aggregate_clauses(&self, function: &FunctionCall, name: &str) -> SqlResult<()> {
        let found = if function.quantifier == Some(SetQuantifier::Distinct) {
            "DISTINCT"
        } else if function.filter.is_some() {
            "FILTER"
        } else if !function.within_group.is_empty() || !function.order_by.is_empty() {
            "ORDER BY"
        } else {
            return Ok(());
        };
        if scalar_function(name).is_none() {
            return Err(unknown_function(name, &[], function.name.span));
        }
        Err(SqlError::at(
            function.span,
            format!("{found} is only allowed for aggregates, and {name} is none"),
        )
        .with_code(ErrorCode::MisplacedFunction))
    }

    /// The first value that is not NULL, with a common type.
    pub(super) fn coalesce(&self, args: Vec<Expr>, span: Span) -> SqlResult<Expr> {
        if args.is_empty() {
            return Err(SqlError::at(
                span,
                "invalid number of arguments to function 'COALESCE': expected at least 1",
            )
            .with_code(ErrorCode::WrongArguments));
        }
        let types: Vec<LogicalType> = args.iter().map(Expr::ty).collect();
        if types.iter().all(LogicalType::is_null) {
            return Err(super::illegal_null(span));
        }
        let ty = coerce::coalesced_type(&types).ok_or_else(|| {
            let names: Vec<String> = types
                .iter()
                .map(|ty| format!("<{}>", sql_type_name(ty)))
                .collect();
            SqlError::at(
                span,
                format!(
                    "unsupported argument types: COALESCE({}) has no common type",
                    names.join(", ")
                ),
            )
            .with_code(ErrorCode::TypeMismatch)
        })?;
        let ty = ty
            .without_time_attribute()
            .with_nullable(types.iter().all(|ty| ty.nullable || ty.is_null()));
        let args = args.into_iter().map(|arg| coerce::cast_to(arg, &ty)).collect();
        Ok(Expr::Coalesce { args, ty })
    }

    /// IFNULL computes its replacement for every row, as any function does with its arguments: an error in it fails the
    /// query even where the input is not NULL.
    fn ifnull(&self, args: Vec<Expr>, span: Span) -> SqlResult<Expr> {
        match self.coalesce(args, span)? {
            Expr::Coalesce { args, ty }
                if !matches!(args.last(), Some(Expr::Literal { .. } | Expr::Column { .. })) =>
            {
                Ok(Expr::Call {
                    function: "IFNULL".to_owned(),
                    args,
                    ty,
                })
            }
            plain => Ok(plain),
        }
    }

    fn bind_if(&self, args: Vec<Expr>, span: Span) -> SqlResult<Expr> {
        let found = args.len();
        let Ok([condition, then, otherwise]) = <[Expr; 3]>::try_from(args) else {
            let message = format!("invalid number of arguments to function 'IF': expected 3, found {found}");
            return Err(SqlError::at(span, message)
                .with_code(ErrorCode::WrongArguments)
                .with_hint("write IF(condition, value, otherwise)"));
        };
        if [&condition, &then, &otherwise]
            .iter()
            .any(|arg| arg.ty().is_null())
        {
            return Err(super::illegal_null(span));
        }
        if condition.ty().kind != TypeKind::Boolean {
            let name = sql_type_name(&condition.ty());
            return Err(SqlError::at(
                span,
                format!("invalid argument type: IF(condition, …) takes a BOOLEAN, not {name}"),
            )
            .with_code(ErrorCode::TypeMismatch));
        }
        let nullable = condition.ty().nullable;
        // Of two timestamp precisions, Flink takes that of the first value.
        let (first, second) = (then.ty().without_time_attribute(), otherwise.ty());
        let otherwise = if first.is_timestamp_like() && first.family() == second.family() {
            coerce::cast_to(otherwise, &first)
        } else {
            otherwise
        };
        let case = self.case(vec![(condition, then)], otherwise, span)?;
        // Unlike CASE, IF is nullable if its condition is.
        Ok(match case {
            Expr::Case {
                branches,
                otherwise,
                ty,
            } => {
                let ty = ty.with_nullable(ty.nullable || nullable);
                Expr::Case {
                    branches,
                    otherwise,
                    ty,
                }
            }
            other => other,
        })
    }

    fn bind_nullif(&self, args: Vec<Expr>, span: Span) -> SqlResult<Expr> {
        let found = args.len();
        let Ok([value, other]) = <[Expr; 2]>::try_from(args) else {
            let message =
                format!("invalid number of arguments to function 'NULLIF': expected 2, found {found}");
            return Err(SqlError::at(span, message).with_code(ErrorCode::WrongArguments));
        };
        // Comparing two different literals is known not to be NULL; Flink's planner finds this by folding.
        let differ = match (coerce::literal_of(&value), coerce::literal_of(&other)) {
            (Some(a), Some(b)) => std::mem::discriminant(a) == std::mem::discriminant(b) && a != b,
            _ => false,
        };
        let equal = self.call(span, "=", vec![value.clone(), other])?;
        let ty = value
            .ty()
            .without_time_attribute()
            .with_nullable(!differ || value.ty().nullable);
        let null = Expr::literal(Scalar::Null, ty.with_nullable(true));
        Ok(Expr::Case {
            branches: vec![(equal, null)],
            otherwise: Box::new(value),
            ty,
        })
    }
}

/// `PROCTIME()`: the processing-time attribute.
pub fn proctime() -> Expr {
    let kind = TypeKind::TimestampLtz {
        precision: 3,
        attribute: TimeAttribute::Proctime,
    };
    Expr::Call {
        function: "PROCTIME".to_owned(),
        args: Vec::new(),
        ty: LogicalType::not_null(kind),
    }
}
