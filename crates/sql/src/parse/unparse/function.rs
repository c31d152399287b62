//! Function calls of all kinds.

use std::fmt::Write as _;

use super::Printer;
use crate::parse::ast::{
    ArgumentValue, Expr, FrameBound, FrameExclusion, FrameUnit, FunctionArgument, FunctionCall, JsonElement,
    JsonEntry, JsonExistsOnError, JsonFunction, JsonOnNull, JsonQueryBehavior, JsonQueryFunction,
    JsonValueBehavior, JsonWrapper, NullTreatment, ObjectName, OrderItem, OverClause, SetQuantifier,
    SpecialFunction, TableArgument, TableArgumentSource, TrimSide, WindowFrame, WindowSpec,
};
use crate::parse::words;

/// Built-ins that Flink looks up like functions of a catalog, and therefore prints with back-ticks.
#[rustfmt::skip]
const CATALOG_BUILT_INS: [&str; 73] = [
    "ARRAY_AGG", "ARRAY_APPEND", "ARRAY_CONCAT", "ARRAY_CONTAINS", "ARRAY_DISTINCT", "ARRAY_EXCEPT",
    "ARRAY_INTERSECT", "ARRAY_JOIN", "ARRAY_MAX", "ARRAY_MIN", "ARRAY_POSITION", "ARRAY_PREPEND", "ARRAY_REMOVE",
    "ARRAY_REVERSE", "ARRAY_SLICE", "ARRAY_SORT", "ARRAY_UNION", "BITMAP_AND", "BITMAP_ANDNOT", "BITMAP_AND_AGG",
    "BITMAP_AND_CARDINALITY_AGG", "BITMAP_BUILD", "BITMAP_BUILD_AGG", "BITMAP_BUILD_CARDINALITY_AGG",
    "BITMAP_CARDINALITY", "BITMAP_FROM_BYTES", "BITMAP_OR", "BITMAP_OR_AGG", "BITMAP_OR_CARDINALITY_AGG",
    "BITMAP_TO_ARRAY", "BITMAP_TO_BYTES", "BITMAP_TO_STRING", "BITMAP_XOR", "BITMAP_XOR_AGG",
    "BITMAP_XOR_CARDINALITY_AGG", "BTRIM", "COALESCE", "CURRENT_WATERMARK", "ELT", "ENDSWITH", "FROM_CHANGELOG",
    "GREATEST", "IFNULL", "INET_ATON", "INET_NTOA", "JSON_QUOTE", "JSON_STRING", "JSON_UNQUOTE", "LEAST",
    "MAP_ENTRIES", "MAP_FROM_ARRAYS", "MAP_KEYS", "MAP_UNION", "MAP_VALUES", "ML_PREDICT", "OBJECT_OF",
    "OBJECT_UPDATE", "PARSE_JSON", "PERCENTILE", "PRINTF", "REGEXP_COUNT", "REGEXP_EXTRACT_ALL", "REGEXP_INSTR",
    "REGEXP_SUBSTR", "SPLIT", "STARTSWITH", "TO_CHANGELOG", "TO_TIMESTAMP_LTZ", "TRY_PARSE_JSON", "TYPEOF", "UNHEX",
    "URL_DECODE", "URL_ENCODE",
];

/// Words that would be read as something else before a parenthesis.
const WORDS_WITH_SYNTAX: [&str; 22] = [
    "CAST",
    "TRY_CAST",
    "SAFE_CAST",
    "EXISTS",
    "UNIQUE",
    "ROW",
    "ARRAY",
    "MAP",
    "MULTISET",
    "EXTRACT",
    "TIMESTAMPADD",
    "TIMESTAMPDIFF",
    "POSITION",
    "TRIM",
    "SUBSTRING",
    "OVERLAY",
    "JSON_EXISTS",
    "JSON_VALUE",
    "JSON_QUERY",
    "JSON_OBJECT",
    "JSON_ARRAY",
    "DESCRIPTOR",
];

/// Reserved words that are called like functions through a production of their own.
const CALLABLE_WORDS: [&str; 2] = ["CONVERT", "TRANSLATE"];

impl Printer {
    pub(super) fn function(&mut self, call: &FunctionCall) {
        self.function_name(&call.name);
        let Some(arguments) = &call.arguments else { return };
        self.push("(");
        if let Some(quantifier) = call.quantifier {
            self.set_quantifier(quantifier);
        }
        self.list(arguments, ", ", Self::argument);
        self.order_by_inline(&call.order_by);
        self.push(")");
        self.call_suffixes(call);
    }

    /// `DISTINCT ` or `ALL `.
    pub(super) fn set_quantifier(&mut self, quantifier: SetQuantifier) {
        self.push(match quantifier {
            SetQuantifier::Distinct => "DISTINCT ",
            SetQuantifier::All => "ALL ",
        });
    }

    /// Built-ins print in capitals without back-ticks, all others as names.
    fn function_name(&mut self, name: &ObjectName) {
        let Some(simple) = name.as_simple() else {
            return self.name(name);
        };
        let upper = simple.value.to_ascii_uppercase();
        let word = upper.as_str();
        let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_callable = !words::is_reserved(word)
            || words::is_reserved_function(word)
            || words::is_context_variable(word)
            || CALLABLE_WORDS.contains(&word);
        let is_plain = is_word && is_callable && !WORDS_WITH_SYNTAX.contains(&word);
        if is_plain && CATALOG_BUILT_INS.contains(&word) {
            let _ = write!(self.text, "`{word}`");
        } else if is_plain {
            self.push(word);
        } else {
            self.name(name);
        }
    }

    fn argument(&mut self, argument: &FunctionArgument) {
        if let Some(name) = &argument.name {
            self.identifier(name);
            self.push(" => ");
        }
        match &argument.value {
            ArgumentValue::Expr(expr) => self.expr(expr),
            ArgumentValue::Star => self.push("*"),
            ArgumentValue::Default => self.push("DEFAULT"),
            ArgumentValue::Table(table) => self.table_argument(table),
            ArgumentValue::Model(name) => {
                self.push("MODEL ");
                self.name(name);
            }
            ArgumentValue::Descriptor(columns) => {
                self.push("DESCRIPTOR");
                self.in_parentheses(|printer| {
                    printer.list(columns, ", ", |printer, column| {
                        printer.identifier(&column.name);
                        printer.optional(" ", column.data_type.as_ref(), Self::data_type);
                    });
                });
            }
        }
    }

    fn table_argument(&mut self, table: &TableArgument) {
        match &table.source {
            TableArgumentSource::Table(name) => {
                self.push("TABLE ");
                self.name(name);
            }
            TableArgumentSource::Query(query) => self.in_parentheses(|printer| printer.query(query)),
        }
        match table.partition_by.as_slice() {
            [] => {}
            [only] => {
                self.push(" PARTITION BY ");
                self.expr(only);
            }
            several => {
                self.push(" PARTITION BY ");
                self.in_parentheses(|printer| printer.exprs(several));
            }
        }
        match table.order_by.as_slice() {
            [] => {}
            several => {
                self.push(" ORDER BY ");
                self.in_parentheses(|printer| printer.list(several, ", ", Self::order_item));
            }
        }
    }

    fn call_suffixes(&mut self, call: &FunctionCall) {
        if !call.within_distinct.is_empty() {
            self.push(" WITHIN DISTINCT ");
            self.in_parentheses(|printer| printer.exprs(&call.within_distinct));
        }
        if !call.within_group.is_empty() {
            self.within_group(&call.within_group);
        }
        match call.null_treatment {
            Some(NullTreatment::Ignore) => self.push(" IGNORE NULLS"),
            Some(NullTreatment::Respect) => self.push(" RESPECT NULLS"),
            None => {}
        }
        self.filter_and_over(call.filter.as_ref(), call.over.as_ref());
    }

    fn within_group(&mut self, items: &[OrderItem]) {
        self.push(" WITHIN GROUP (ORDER BY ");
        self.list(items, ", ", Self::order_item);
        self.push(")");
    }

    /// ` ORDER BY …` on the same line.
    pub(super) fn order_by_inline(&mut self, items: &[OrderItem]) {
        if !items.is_empty() {
            self.push(" ORDER BY ");
            self.list(items, ", ", Self::order_item);
        }
    }

    fn filter_and_over(&mut self, filter: Option<&Expr>, over: Option<&OverClause>) {
        if let Some(filter) = filter {
            self.push(" FILTER (WHERE ");
            self.expr(filter);
            self.push(")");
        }
        match over {
            Some(OverClause::Named(name)) => {
                self.push(" OVER ");
                self.identifier(name);
            }
            Some(OverClause::Window(window)) => {
                self.push(" OVER ");
                self.window(window);
            }
            None => {}
        }
    }

    pub(super) fn window(&mut self, window: &WindowSpec) {
        self.push("(");
        let start = self.text.len();
        if let Some(base) = &window.base {
            self.identifier(base);
        }
        if !window.partition_by.is_empty() {
            self.push(" PARTITION BY ");
            self.exprs(&window.partition_by);
        }
        self.order_by_inline(&window.order_by);
        if let Some(frame) = &window.frame {
            self.push(" ");
            self.frame(frame);
        }
        match window.allow_partial {
            Some(true) => self.push(" ALLOW PARTIAL"),
            Some(false) => self.push(" DISALLOW PARTIAL"),
            None => {}
        }
        if self.text[start..].starts_with(' ') {
            self.text.remove(start);
        }
        self.push(")");
    }

    fn frame(&mut self, frame: &WindowFrame) {
        self.push(match frame.unit {
            FrameUnit::Rows => "ROWS ",
            FrameUnit::Range => "RANGE ",
        });
        match &frame.end {
            Some(end) => {
                self.push("BETWEEN ");
                self.frame_bound(&frame.start);
                self.push(" AND ");
                self.frame_bound(end);
            }
            None => self.frame_bound(&frame.start),
        }
        match frame.exclude {
            Some(FrameExclusion::CurrentRow) => self.push(" EXCLUDE CURRENT ROW"),
            Some(FrameExclusion::Group) => self.push(" EXCLUDE GROUP"),
            Some(FrameExclusion::Ties) => self.push(" EXCLUDE TIES"),
            Some(FrameExclusion::NoOthers) => self.push(" EXCLUDE NO OTHERS"),
            None => {}
        }
    }

    fn frame_bound(&mut self, bound: &FrameBound) {
        let above_and = crate::parse::precedence::AND + 1;
        match bound {
            FrameBound::CurrentRow => self.push("CURRENT ROW"),
            FrameBound::UnboundedPreceding => self.push("UNBOUNDED PRECEDING"),
            FrameBound::UnboundedFollowing => self.push("UNBOUNDED FOLLOWING"),
            FrameBound::Preceding(offset) => {
                self.expr_above(offset, above_and);
                self.push(" PRECEDING");
            }
            FrameBound::Following(offset) => {
                self.expr_above(offset, above_and);
                self.push(" FOLLOWING");
            }
        }
    }

    // --- built-ins with a syntax of their own ---

    pub(super) fn special(&mut self, function: &SpecialFunction) {
        match function {
            SpecialFunction::Extract { frame, operand } => {
                self.time_frame("EXTRACT(", &frame.name.value);
                self.part(" FROM ", operand);
            }
            SpecialFunction::Floor { operand, to } => {
                self.part("FLOOR(", operand);
                self.time_frame(" TO ", &to.name.value);
            }
            SpecialFunction::Ceil { operand, to } => {
                self.part("CEIL(", operand);
                self.time_frame(" TO ", &to.name.value);
            }
            SpecialFunction::TimestampAdd {
                frame,
                count,
                operand,
            } => {
                self.time_frame("TIMESTAMPADD(", &frame.name.value);
                self.part(", ", count);
                self.part(", ", operand);
            }
            SpecialFunction::TimestampDiff { frame, start, end } => {
                self.time_frame("TIMESTAMPDIFF(", &frame.name.value);
                self.part(", ", start);
                self.part(", ", end);
            }
            SpecialFunction::Position { .. }
            | SpecialFunction::Trim { .. }
            | SpecialFunction::Substring { .. }
            | SpecialFunction::Overlay { .. } => self.string_function(function),
            SpecialFunction::Using {
                function,
                operand,
                name,
            } => {
                self.push(&function.value);
                self.part("(", operand);
                self.push(" USING ");
                self.name(name);
            }
        }
        self.push(")");
    }

    /// The functions on strings, up to the closing parenthesis.
    fn string_function(&mut self, function: &SpecialFunction) {
        match function {
            SpecialFunction::Position {
                needle,
                haystack,
                from,
            } => {
                self.push("POSITION(");
                self.expr_above(needle, crate::parse::precedence::RANGE + 1);
                self.part(" IN ", haystack);
                self.optional_part(" FROM ", from.as_ref());
            }
            SpecialFunction::Trim {
                side,
                characters,
                operand,
            } => {
                self.push(match side {
                    TrimSide::Both => "TRIM(BOTH ",
                    TrimSide::Leading => "TRIM(LEADING ",
                    TrimSide::Trailing => "TRIM(TRAILING ",
                });
                match characters {
                    Some(characters) => self.expr(characters),
                    None => self.push("' '"),
                }
                self.part(" FROM ", operand);
            }
            SpecialFunction::Substring {
                operand,
                from,
                length,
            } => {
                self.part("SUBSTRING(", operand);
                self.part(" FROM ", from);
                self.optional_part(" FOR ", length.as_ref());
            }
            SpecialFunction::Overlay {
                operand,
                replacement,
                from,
                length,
            } => {
                self.part("OVERLAY(", operand);
                self.part(" PLACING ", replacement);
                self.part(" FROM ", from);
                self.optional_part(" FOR ", length.as_ref());
            }
            _ => {}
        }
    }

    fn part(&mut self, prefix: &str, expr: &Expr) {
        self.push(prefix);
        self.expr(expr);
    }

    fn optional_part(&mut self, prefix: &str, expr: Option<&Expr>) {
        self.optional(prefix, expr, Self::expr);
    }

    /// Units print as words, other names in back-ticks.
    fn time_frame(&mut self, prefix: &str, name: &str) {
        self.push(prefix);
        match crate::parse::ast::TimeUnit::from_word(name) {
            Some(unit) => self.push(unit.word()),
            None => self.push(&super::quote_identifier(name)),
        }
    }

    // --- JSON ---

    pub(super) fn json(&mut self, function: &JsonFunction) {
        match function {
            JsonFunction::Exists {
                input,
                path,
                on_error,
            } => self.json_exists(input, path, *on_error),
            JsonFunction::Value {
                input,
                path,
                returning,
                on_empty,
                on_error,
            } => {
                self.json_input("JSON_VALUE(", input, path);
                self.optional(" RETURNING ", returning.as_ref(), Self::data_type);
                self.json_value_behavior(on_empty.as_ref(), "EMPTY");
                self.json_value_behavior(on_error.as_ref(), "ERROR");
                self.push(")");
            }
            JsonFunction::Query(query) => self.json_query(query),
            JsonFunction::Object { entries, on_null } => {
                self.push("JSON_OBJECT(");
                self.list(entries, ", ", Self::json_entry);
                self.json_on_null(*on_null);
                self.push(")");
            }
            JsonFunction::ObjectAgg {
                entry,
                on_null,
                filter,
                over,
            } => {
                self.push("JSON_OBJECTAGG(");
                self.json_entry(entry);
                self.json_on_null(*on_null);
                self.push(")");
                self.filter_and_over(filter.as_ref(), over.as_ref());
            }
            JsonFunction::Array { elements, on_null } => {
                self.push("JSON_ARRAY(");
                self.list(elements, ", ", Self::json_element);
                self.json_on_null(*on_null);
                self.push(")");
            }
            JsonFunction::ArrayAgg {
                element,
                order_by,
                on_null,
                filter,
                over,
            } => {
                self.push("JSON_ARRAYAGG(");
                self.json_element(element);
                self.json_on_null(*on_null);
                self.push(")");
                if !order_by.is_empty() {
                    self.within_group(order_by);
                }
                self.filter_and_over(filter.as_ref(), over.as_ref());
            }
        }
    }

    fn json_exists(&mut self, input: &Expr, path: &Expr, on_error: Option<JsonExistsOnError>) {
        self.json_input("JSON_EXISTS(", input, path);
        self.push(match on_error {
            Some(JsonExistsOnError::True) => " TRUE ON ERROR)",
            Some(JsonExistsOnError::False) => " FALSE ON ERROR)",
            Some(JsonExistsOnError::Unknown) => " UNKNOWN ON ERROR)",
            Some(JsonExistsOnError::Error) => " ERROR ON ERROR)",
            None => ")",
        });
    }

    fn json_input(&mut self, start: &str, input: &Expr, path: &Expr) {
        self.part(start, input);
        self.part(", ", path);
    }

    fn json_value_behavior(&mut self, behavior: Option<&JsonValueBehavior>, event: &str) {
        match behavior {
            Some(JsonValueBehavior::Error) => self.push(" ERROR"),
            Some(JsonValueBehavior::Null) => self.push(" NULL"),
            Some(JsonValueBehavior::Default(value)) => self.part(" DEFAULT ", value),
            None => return,
        }
        let _ = write!(self.text, " ON {event}");
    }

    fn json_query(&mut self, query: &JsonQueryFunction) {
        self.json_input("JSON_QUERY(", &query.input, &query.path);
        self.optional(" RETURNING ", query.returning.as_ref(), Self::data_type);
        self.push(match query.wrapper {
            Some(JsonWrapper::Without) => " WITHOUT ARRAY WRAPPER",
            Some(JsonWrapper::Conditional) => " WITH CONDITIONAL ARRAY WRAPPER",
            Some(JsonWrapper::Unconditional) => " WITH UNCONDITIONAL ARRAY WRAPPER",
            None => "",
        });
        for (behavior, event) in [(query.on_empty, "EMPTY"), (query.on_error, "ERROR")] {
            let text = match behavior {
                Some(JsonQueryBehavior::Error) => "ERROR",
                Some(JsonQueryBehavior::Null) => "NULL",
                Some(JsonQueryBehavior::EmptyArray) => "EMPTY ARRAY",
                Some(JsonQueryBehavior::EmptyObject) => "EMPTY OBJECT",
                None => continue,
            };
            let _ = write!(self.text, " {text} ON {event}");
        }
        self.push(")");
    }

    fn json_on_null(&mut self, on_null: Option<JsonOnNull>) {
        self.push(match on_null {
            Some(JsonOnNull::Null) => " NULL ON NULL",
            Some(JsonOnNull::Absent) => " ABSENT ON NULL",
            None => "",
        });
    }

    fn json_entry(&mut self, entry: &JsonEntry) {
        self.part("KEY ", &entry.key);
        self.push(" VALUE ");
        self.json_element(&entry.value);
    }

    fn json_element(&mut self, element: &JsonElement) {
        self.expr(&element.value);
        if element.format_json {
            self.push(" FORMAT JSON");
        }
    }
}
