//! Data-driven tests of scalar functions: text files of calls with literal arguments and their printed results.
//!
//! A line is `expression => result`, `expression :: TYPE` (the type of the result) or `expression => !words` (an error
//! whose message has these words, in any case). `#` starts a comment line. Expressions are calls of declared functions with
//! literals: `'text'`, `1`, `1.5` (DECIMAL), `1e0`, `TRUE`, `NULL`, `x'00ff'`, `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`,
//! `expression : TYPE` for a literal of another type, and operators in back-ticks: `` `||`('a', 'b') ``.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, new_null_array};
use jiff::tz::TimeZone;
use millstream_functions::display::{Printer, Style};
use millstream_functions::{ArgInfo, CallCache, Datum, Environment, KernelArgs, scalar_function};
use millstream_types::calendar::days_from_civil;
use millstream_types::{LogicalType, Scalar, SeededRng, TypeKind, arrow_type};

/// A value of one row with its type, and whether it was written as a literal.
#[derive(Clone, Debug)]
struct Value {
    ty: LogicalType,
    array: ArrayRef,
    literal: Option<Scalar>,
}

impl Value {
    fn literal(ty: LogicalType, scalar: Scalar) -> Self {
        let ty = ty.with_nullable(scalar.is_null());
        Self {
            array: scalar.to_array(&ty, 1),
            ty,
            literal: Some(scalar),
        }
    }
}

fn environment() -> Environment {
    Environment {
        zone: TimeZone::get("America/New_York").expect("a bundled zone"),
        zone_name: "America/New_York".into(),
        now_ms: 1_709_212_455_123,
        watermark_ms: Some(1_709_212_450_000),
        rng: Arc::new(SeededRng::new(7)),
        legacy_cast: false,
        current_database: "default_database".into(),
        streaming: true,
    }
}

struct Parser<'t> {
    rest: &'t str,
}

type Outcome<T> = Result<T, String>;

impl<'t> Parser<'t> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        while let Some((i, c)) = chars.next() {
            if c != quote {
                text.push(c);
            } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
                text.push(quote);
            } else {
                self.rest = &self.rest[i + 1..];
                return text;
            }
        }
        panic!("unclosed quote in {}", self.rest);
    }

    fn word(&mut self) -> &'t str {
        self.skip();
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn expression(&mut self) -> Outcome<Value> {
        let value = self.primary()?;
        if self.eat("::") {
            self.rest = self.rest.trim_start();
            panic!("`::` ends an expression");
        }
        self.skip();
        if self.rest.starts_with(':') {
            self.rest = &self.rest[1..];
            let ty = self.ty();
            let scalar = value.literal.as_ref().expect("only a literal takes a type");
            return Ok(Value::literal(ty.clone(), retyped(scalar, &value.ty, &ty)));
        }
        Ok(value)
    }

    fn primary(&mut self) -> Outcome<Value> {
        self.skip();
        let first = self.rest.chars().next().expect("an expression");
        match first {
            '\'' => {
                let text = self.quoted('\'').replace("\\n", "\n").replace("\\t", "\t");
                let length = text.encode_utf16().count() as u32;
                Ok(Value::literal(
                    LogicalType::new(TypeKind::Char(length)),
                    Scalar::String(text),
                ))
            }
            '`' => {
                let name = self.quoted('`');
                self.call(&name)
            }
            '-' | '0'..='9' => Ok(self.number()),
            _ => self.named(),
        }
    }

    fn number(&mut self) -> Value {
        let end = self
            .rest
            .find(|c: char| !"+-.0123456789eE".contains(c))
            .unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if text.contains(['e', 'E']) {
            return Value::literal(
                LogicalType::DOUBLE,
                Scalar::Double(text.parse().expect("a double")),
            );
        }
        if let Some((whole, fraction)) = text.split_once('.') {
            let unscaled: i128 = format!("{whole}{fraction}").parse().expect("a decimal");
            let precision =
                (whole.trim_start_matches('-').trim_start_matches('0').len() + fraction.len()).max(1);
            let ty = LogicalType::decimal(precision as u8, fraction.len() as u8);
            return Value::literal(ty, Scalar::Decimal(unscaled));
        }
        match text.parse::<i32>() {
            Ok(v) => Value::literal(LogicalType::INT, Scalar::Int(v)),
            Err(_) => Value::literal(
                LogicalType::BIGINT,
                Scalar::BigInt(text.parse().expect("a bigint")),
            ),
        }
    }

    fn named(&mut self) -> Outcome<Value> {
        let word = self.word();
        self.skip();
        Ok(match word {
            "TRUE" => Value::literal(LogicalType::BOOLEAN, Scalar::Boolean(true)),
            "FALSE" => Value::literal(LogicalType::BOOLEAN, Scalar::Boolean(false)),
            "NULL" => Value::literal(LogicalType::NULL, Scalar::Null),
            "x" if self.rest.starts_with('\'') => {
                let hex = self.quoted('\'');
                let bytes: Vec<u8> = (0..hex.len() / 2)
                    .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal digits"))
                    .collect();
                Value::literal(
                    LogicalType::new(TypeKind::Binary(bytes.len() as u32)),
                    Scalar::Bytes(bytes),
                )
            }
            "DATE" if self.rest.starts_with('\'') => {
                let text = self.quoted('\'');
                Value::literal(LogicalType::DATE, Scalar::Date(days(&text) as i32))
            }
            "TIME" if self.rest.starts_with('\'') => {
                let text = self.quoted('\'');
                let (nanos, digits) = nanos_of_day(&text);
                Value::literal(
                    LogicalType::time(digits),
                    Scalar::Time((nanos / 1_000_000) as i32),
                )
            }
            "TIMESTAMP" | "TIMESTAMP_LTZ" if self.rest.starts_with('\'') => {
                let text = self.quoted('\'');
                let (date, time) = text.split_once(' ').expect("a date and a time");
                let (nanos, digits) = nanos_of_day(time);
                let nanos = i128::from(days(date)) * 86_400_000_000_000 + nanos;
                let ty = if word == "TIMESTAMP" {
                    LogicalType::timestamp(digits)
                } else {
                    LogicalType::timestamp_ltz(digits)
                };
                Value::literal(ty, Scalar::Timestamp(nanos))
            }
            "ARRAY" | "MAP" if self.rest.starts_with('[') => {
                self.eat("[");
                let args = self.list("]")?;
                apply(word, args)?
            }
            "INTERVAL" => self.interval(),
            name => return self.call(name),
        })
    }

    /// `INTERVAL n MONTH` in months, `INTERVAL n MS` in milliseconds.
    fn interval(&mut self) -> Value {
        let end = self.rest.find(' ').expect("a unit");
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        let number: i64 = number.parse().expect("a number");
        let month = LogicalType::new(TypeKind::IntervalYearMonth(
            millstream_types::logical_type::YearMonthResolution::Month,
        ));
        let second = LogicalType::new(TypeKind::IntervalDayTime(
            millstream_types::logical_type::DayTimeResolution::Second,
        ));
        match self.word() {
            "MONTH" => Value::literal(month, Scalar::IntervalYearMonth(number as i32)),
            _ => Value::literal(second, Scalar::IntervalDayTime(number)),
        }
    }

    fn list(&mut self, close: &str) -> Outcome<Vec<Value>> {
        let mut args = Vec::new();
        if self.eat(close) {
            return Ok(args);
        }
        loop {
            args.push(self.expression()?);
            if !self.eat(",") {
                break;
            }
        }
        assert!(self.eat(close), "expected {close} before {}", self.rest);
        Ok(args)
    }

    fn call(&mut self, name: &str) -> Outcome<Value> {
        assert!(self.eat("("), "expected ( after {name}, found {}", self.rest);
        let args = self.list(")")?;
        apply(name, args)
    }

    fn ty(&mut self) -> LogicalType {
        let word = self.word();
        let mut parameters = Vec::new();
        if self.rest.starts_with('(') {
            self.eat("(");
            while let Ok(n) = self.word().parse::<u32>() {
                parameters.push(n);
                if !self.eat(",") {
                    break;
                }
            }
            assert!(self.eat(")"), "expected ) before {}", self.rest);
        }
        let p = |i: usize, default: u32| parameters.get(i).copied().unwrap_or(default);
        match word {
            "STRING" => LogicalType::STRING,
            "BYTES" => LogicalType::BYTES,
            "CHAR" => LogicalType::new(TypeKind::Char(p(0, 1))),
            "VARCHAR" => LogicalType::new(TypeKind::Varchar(p(0, 1))),
            "BOOLEAN" => LogicalType::BOOLEAN,
            "TINYINT" => LogicalType::TINYINT,
            "SMALLINT" => LogicalType::SMALLINT,
            "INT" => LogicalType::INT,
            "BIGINT" => LogicalType::BIGINT,
            "FLOAT" => LogicalType::FLOAT,
            "DOUBLE" => LogicalType::DOUBLE,
            "DECIMAL" => LogicalType::decimal(p(0, 10) as u8, p(1, 0) as u8),
            "DATE" => LogicalType::DATE,
            "TIME" => LogicalType::time(p(0, 0) as u8),
            "TIMESTAMP" => LogicalType::timestamp(p(0, 6) as u8),
            "TIMESTAMP_LTZ" => LogicalType::timestamp_ltz(p(0, 6) as u8),
            "BITMAP" => LogicalType::new(TypeKind::Bitmap),
            "VARIANT" => LogicalType::new(TypeKind::Variant),
            "ARRAY" => {
                assert!(self.eat("<"), "expected <");
                let element = self.ty();
                assert!(self.eat(">"), "expected >");
                LogicalType::array(element)
            }
            "MAP" => {
                assert!(self.eat("<"), "expected <");
                let key = self.ty();
                assert!(self.eat(","), "expected ,");
                let value = self.ty();
                assert!(self.eat(">"), "expected >");
                LogicalType::map(key, value)
            }
            other => panic!("unknown type {other}"),
        }
    }
}

fn days(text: &str) -> i64 {
    let parts: Vec<i64> = text.split('-').map(|p| p.parse().expect("a number")).collect();
    days_from_civil(parts[0], parts[1] as u32, parts[2] as u32)
}

/// Nanoseconds of a time of day and the number of digits of its fraction.
fn nanos_of_day(text: &str) -> (i128, u8) {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Vec<i128> = clock.split(':').map(|p| p.parse().expect("a number")).collect();
    let nanos: i128 = format!("{fraction:0<9}").parse().expect("digits");
    (
        ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000_000_000 + nanos,
        fraction.len() as u8,
    )
}

/// A literal in another type, for the few conversions that tests and implicit casts need.
fn retyped(scalar: &Scalar, from: &LogicalType, to: &LogicalType) -> Scalar {
    match (scalar, &to.kind) {
        (Scalar::Null, _) => Scalar::Null,
        (v, TypeKind::TinyInt) => Scalar::TinyInt(v.as_i64().expect("an integer") as i8),
        (v, TypeKind::SmallInt) => Scalar::SmallInt(v.as_i64().expect("an integer") as i16),
        (v, TypeKind::Int) => Scalar::Int(v.as_i64().expect("an integer") as i32),
        (v, TypeKind::BigInt) => Scalar::BigInt(v.as_i64().expect("an integer")),
        (Scalar::Decimal(d), TypeKind::Float) => Scalar::Float(decimal_f64(*d, from) as f32),
        (Scalar::Decimal(d), TypeKind::Double) => Scalar::Double(decimal_f64(*d, from)),
        (Scalar::Double(d), TypeKind::Float) => Scalar::Float(*d as f32),
        (v, TypeKind::Double) if v.as_i64().is_some() => {
            Scalar::Double(v.as_i64().expect("an integer") as f64)
        }
        (Scalar::Decimal(d), TypeKind::Decimal { scale, .. }) => {
            let TypeKind::Decimal { scale: old, .. } = from.kind else {
                panic!("not a decimal")
            };
            Scalar::Decimal(d * 10i128.pow(u32::from(scale - old)))
        }
        (v, TypeKind::Decimal { scale, .. }) => {
            Scalar::Decimal(i128::from(v.as_i64().expect("an integer")) * 10i128.pow(u32::from(*scale)))
        }
        (Scalar::Array(items), TypeKind::Array(element)) => {
            let TypeKind::Array(old) = &from.kind else {
                panic!("not an array")
            };
            Scalar::Array(items.iter().map(|item| retyped(item, old, element)).collect())
        }
        (Scalar::Map(entries), TypeKind::Map(key, value)) => {
            let TypeKind::Map(k, v) = &from.kind else {
                panic!("not a map")
            };
            Scalar::Map(
                entries
                    .iter()
                    .map(|(a, b)| (retyped(a, k, key), retyped(b, v, value)))
                    .collect(),
            )
        }
        (Scalar::Date(d), TypeKind::Timestamp { .. }) => {
            Scalar::Timestamp(i128::from(*d) * 86_400_000_000_000)
        }
        (other, _) => other.clone(),
    }
}

fn decimal_f64(unscaled: i128, ty: &LogicalType) -> f64 {
    let TypeKind::Decimal { scale, .. } = ty.kind else {
        panic!("not a decimal")
    };
    unscaled as f64 / 10f64.powi(i32::from(scale))
}

fn apply(name: &str, args: Vec<Value>) -> Outcome<Value> {
    let function = scalar_function(name).unwrap_or_else(|| panic!("no function {name}"));
    let infos: Vec<ArgInfo<'_>> = args
        .iter()
        .map(|arg| ArgInfo {
            ty: &arg.ty,
            literal: arg.literal.as_ref(),
        })
        .collect();
    let signature = (function.signature)(&infos).map_err(|error| error.to_string())?;
    assert_eq!(
        signature.args.len(),
        args.len(),
        "{name}: one type for each argument"
    );
    let data: Vec<Datum> = args
        .iter()
        .zip(&signature.args)
        .map(|(arg, ty)| Datum::Constant(converted(arg, ty)))
        .collect();
    let env = environment();
    let mut cache = CallCache::default();
    let mut kernel_args = KernelArgs {
        function: function.name,
        args: &data,
        arg_types: &signature.args,
        result: &signature.result,
        rows: 1,
        env: &env,
        cache: &mut cache,
    };
    let array = (function.kernel)(&mut kernel_args).map_err(|error| error.to_string())?;
    assert_eq!(
        *array.data_type(),
        arrow_type(&signature.result),
        "{name}: physical type"
    );
    assert_eq!(array.len(), 1, "{name}: rows");
    assert!(
        signature.result.nullable || array.is_valid(0),
        "{name}: NULL in a NOT NULL result"
    );
    Ok(Value {
        ty: signature.result,
        array,
        literal: None,
    })
}

fn converted(arg: &Value, ty: &LogicalType) -> ArrayRef {
    if arg.ty.kind == ty.kind {
        return Arc::clone(&arg.array);
    }
    if arg.ty.is_null() {
        return new_null_array(&arrow_type(ty), 1);
    }
    let scalar = Scalar::from_array(&arg.ty, &arg.array, 0);
    retyped(&scalar, &arg.ty, ty).to_array(ty, 1)
}

fn shown(value: &Value) -> String {
    let zone = environment().zone;
    let text = Printer::new(&value.ty, Style::Client).value(&value.array, 0, &zone);
    let text = text.unwrap_or_else(|| "NULL".to_owned());
    let text = text
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\t', "\\t")
        .replace('\r', "\\r");
    if text.is_empty() {
        "(empty)".to_owned()
    } else {
        text
    }
}

/// The complaint about a line, if it does not hold.
fn check_line(line: &str) -> Option<String> {
    if let Some((expression, ty)) = line.split_once(" :: ") {
        let found = match (Parser { rest: expression }).expression() {
            Ok(value) => value.ty.to_string(),
            Err(error) => format!("error: {error}"),
        };
        return (found != ty.trim()).then(|| format!("{line}\n    found {found}"));
    }
    let (expression, expected) = line
        .split_once(" => ")
        .unwrap_or_else(|| panic!("no => in {line}"));
    let outcome = Parser { rest: expression }.expression();
    let expected = expected.trim_end_matches('\n');
    match (outcome, expected.strip_prefix('!')) {
        (Ok(value), None) => {
            let found = shown(&value);
            (found != expected).then(|| format!("{line}\n    found {found}"))
        }
        (Err(error), Some(words)) if error.to_lowercase().contains(&words.trim().to_lowercase()) => None,
        (Ok(value), Some(_)) => Some(format!("{line}\n    found {}", shown(&value))),
        (Err(error), _) => Some(format!("{line}\n    error: {error}")),
    }
}

fn check_file(name: &str) {
    let path = format!("{}/tests/data/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines: Vec<&str> = text
        .lines()
        .filter(|l| !l.trim().is_empty() && !l.starts_with('#'))
        .collect();
    let wrong: Vec<String> = lines.iter().filter_map(|line| check_line(line)).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} lines of {name}:\n{}",
        wrong.len(),
        lines.len(),
        wrong.join("\n")
    );
}

#[test]
fn strings() {
    check_file("string");
}

#[test]
fn regular_expressions() {
    check_file("regexp");
}

#[test]
fn conditionals() {
    check_file("conditional");
}

#[test]
fn json() {
    check_file("json");
}

#[test]
fn collections() {
    check_file("collection");
}

#[test]
fn temporal() {
    check_file("temporal");
}
