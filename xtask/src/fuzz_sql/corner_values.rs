//! Columns of corner values, one for each type, and literals to stand beside them.

use std::fmt::Write as _;
use std::path::Path;

use millstream_types::logical_type::{DayTimeResolution, YearMonthResolution};
use millstream_types::{LogicalType, Rng, Scalar, TypeKind};

/// Rows of the table of corner values.
pub const ROWS: usize = 32;

/// A column: its name, its type in SQL and for signatures, and values as JSON has them.
pub struct Corner {
    pub name: &'static str,
    pub sql_type: &'static str,
    pub ty: LogicalType,
    values: &'static [&'static str],
}

const fn corner(
    name: &'static str,
    sql_type: &'static str,
    ty: LogicalType,
    values: &'static [&'static str],
) -> Corner {
    Corner {
        name,
        sql_type,
        ty,
        values,
    }
}

/// All columns. NULL is added to every column.
pub fn columns() -> Vec<Corner> {
    let interval_months = LogicalType::new(TypeKind::IntervalYearMonth(YearMonthResolution::Month));
    let interval_millis = LogicalType::new(TypeKind::IntervalDayTime(DayTimeResolution::Second));
    vec![
        corner("bo", "BOOLEAN", LogicalType::BOOLEAN, &["true", "false"]),
        corner(
            "ti",
            "TINYINT",
            LogicalType::new(TypeKind::TinyInt),
            &["0", "1", "-1", "127", "-128", "7"],
        ),
        corner(
            "si",
            "SMALLINT",
            LogicalType::new(TypeKind::SmallInt),
            &["0", "3", "-1", "32767", "-32768", "100"],
        ),
        corner(
            "i",
            "INT",
            LogicalType::INT,
            &["0", "1", "-1", "2147483647", "-2147483648", "42", "2", "-7"],
        ),
        corner(
            "b",
            "BIGINT",
            LogicalType::BIGINT,
            &[
                "0",
                "1",
                "-1",
                "9223372036854775807",
                "-9223372036854775808",
                "1700000000",
                "5",
            ],
        ),
        corner(
            "d2",
            "DECIMAL(10, 2)",
            LogicalType::decimal(10, 2),
            &["0", "1.50", "-1.50", "99999999.99", "-0.01", "2.45"],
        ),
        corner(
            "d18",
            "DECIMAL(38, 18)",
            LogicalType::decimal(38, 18),
            &["0", "0.000000000000000001", "-12345.678", "99999999999.5", "1"],
        ),
        corner(
            "f",
            "FLOAT",
            LogicalType::FLOAT,
            &[
                "0",
                "1.5",
                "-2.25",
                "\"NaN\"",
                "\"Infinity\"",
                "3.4028235E38",
                "1.4E-45",
                "0.1",
            ],
        ),
        corner(
            "g",
            "DOUBLE",
            LogicalType::DOUBLE,
            &[
                "0",
                "1.5",
                "-2.5",
                "\"NaN\"",
                "\"-Infinity\"",
                "1.7976931348623157E308",
                "-0.0",
                "0.1",
                "1e10",
                "1e-7",
            ],
        ),
        corner(
            "s",
            "STRING",
            LogicalType::STRING,
            &[
                "\"\"",
                "\" \"",
                "\"abc\"",
                "\"ABC def\"",
                "\"😀é漢\"",
                "\"12\"",
                "\"-1.5\"",
                "\"2024-02-29\"",
                "\"a,b=c;d=e\"",
                "\"{\\\"a\\\":1,\\\"b\\\":[1,\\\"x\\\",null]}\"",
                "\"2024-03-10 02:30:00\"",
                "\"%_\\\\\"",
                "\"true\"",
                "\"a1b22\"",
                "\"http://user@host:80/p/a?q=1&r=b%20c#f\"",
            ],
        ),
        corner(
            "v",
            "VARCHAR(5)",
            LogicalType::new(TypeKind::Varchar(5)),
            &["\"\"", "\"a\"", "\"Hello\"", "\"x y\"", "\"é\""],
        ),
        corner(
            "c",
            "CHAR(3)",
            LogicalType::new(TypeKind::Char(3)),
            &["\"abc\"", "\"a  \"", "\" b \"", "\"123\""],
        ),
        corner(
            "x",
            "BYTES",
            LogicalType::BYTES,
            &["\"\"", "\"AP8=\"", "\"YWJj\"", "\"w6k=\""],
        ),
        corner(
            "da",
            "DATE",
            LogicalType::DATE,
            &[
                "\"1970-01-01\"",
                "\"2024-02-29\"",
                "\"1969-12-31\"",
                "\"2023-12-31\"",
                "\"2199-12-31\"",
                "\"1900-03-01\"",
                "\"2024-01-31\"",
            ],
        ),
        corner(
            "tm",
            "TIME(3)",
            LogicalType::time(3),
            &["\"00:00:00\"", "\"23:59:59.999\"", "\"12:34:56.7\""],
        ),
        corner(
            "t3",
            "TIMESTAMP(3)",
            LogicalType::timestamp(3),
            &[
                "\"1970-01-01 00:00:00\"",
                "\"2024-02-29 23:59:59.999\"",
                "\"2024-03-10 02:30:00\"",
                "\"1999-12-31 12:00:00.5\"",
                "\"2024-11-03 01:30:00\"",
                "\"2199-12-31 23:59:59\"",
            ],
        ),
        corner(
            "t9",
            "TIMESTAMP(9)",
            LogicalType::timestamp(9),
            &[
                "\"1970-01-01 00:00:00.000000001\"",
                "\"2024-02-29 23:59:59.123456789\"",
                "\"2000-01-01 00:00:00\"",
            ],
        ),
        corner(
            "lt",
            "TIMESTAMP_LTZ(3)",
            LogicalType::timestamp_ltz(3),
            &[
                "\"1970-01-01 00:00:00Z\"",
                "\"2024-03-10 03:30:00Z\"",
                "\"2024-11-03 01:30:00Z\"",
                "\"2024-02-29 23:59:59.999Z\"",
            ],
        ),
        corner("ym", "INTERVAL MONTH", interval_months, &["0", "1", "-13", "12"]),
        corner(
            "dt",
            "INTERVAL SECOND",
            interval_millis,
            &["0", "1", "-86401", "3600"],
        ),
        corner(
            "ai",
            "ARRAY<INT>",
            LogicalType::array(LogicalType::INT),
            &["[1, 2, 3]", "[2, 2, null]", "[-1]"],
        ),
        corner(
            "ax",
            "ARRAY<STRING>",
            LogicalType::array(LogicalType::STRING),
            &["[\"a\", \"b\"]", "[\"\", \"a\", null]", "[\"B\", \"a\"]"],
        ),
        corner(
            "m",
            "MAP<STRING, INT>",
            LogicalType::map(LogicalType::STRING, LogicalType::INT),
            &["{\"a\": 1}", "{\"a\": 1, \"b\": null}", "{\"\": 0}"],
        ),
    ]
}

/// The statements that make the view `corner_values` of [`ROWS`] rows, each column with its values in an order of its own.
/// The rows are read from a file in `directory`: constants would be folded when the statement is planned.
pub fn table(rng: &dyn Rng, directory: &Path) -> anyhow::Result<[String; 2]> {
    let columns = columns();
    let firsts: Vec<usize> = columns
        .iter()
        .map(|column| rng.below(column.values.len() as u64 + 1) as usize)
        .collect();
    let mut text = String::new();
    for row in 0..ROWS {
        let cells = columns.iter().zip(&firsts).filter_map(|(column, first)| {
            let value = column.values.get((first + row) % (column.values.len() + 1));
            value.map(|value| format!(", \"{}\": {value}", column.name))
        });
        _ = writeln!(text, "{{\"id\": {row}{}}}", cells.collect::<String>());
    }
    std::fs::write(directory.join("rows.json"), text)?;
    let declared: Vec<String> = columns
        .iter()
        .map(|column| format!("{} {}", column.name, stored_type(column)))
        .collect();
    let table = format!(
        "CREATE TABLE stored_values (id INT, {}) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}')",
        declared.join(", "),
        directory.display()
    );
    let read: Vec<String> = columns.iter().map(read).collect();
    let view = format!(
        "CREATE TEMPORARY VIEW corner_values AS SELECT id, {} FROM stored_values",
        read.join(", ")
    );
    Ok([table, view])
}

/// Tables hold no intervals.
fn stored_type(column: &Corner) -> &str {
    if column.sql_type.starts_with("INTERVAL") {
        "INT"
    } else {
        column.sql_type
    }
}

fn read(column: &Corner) -> String {
    let name = column.name;
    match column.sql_type.strip_prefix("INTERVAL ") {
        Some(unit) => format!("{name} * INTERVAL '1' {unit} AS {name}"),
        None => name.to_owned(),
    }
}

/// Literals: as SQL, with their type and value for signatures.
pub fn literals() -> Vec<(String, LogicalType, Scalar)> {
    let integers = [0, 1, -1, 2, 3, 10, 100];
    let texts = [
        "",
        "a",
        ",",
        "=",
        "%a%",
        "_b%",
        "[a-z]+",
        "(a)(b)?",
        "\\d",
        "abc",
        "yyyy-MM-dd",
        "yyyy-MM-dd HH:mm:ss",
        "HH:mm",
        "UTC",
        "Asia/Tokyo",
        "America/New_York",
        "UTF-8",
        "$.a",
        "lax $.b[0]",
        "12",
        "2024-02-29",
        "%d",
        "%s|%5.2f",
        "HOST",
        "QUERY",
        "é",
    ];
    let mut found = Vec::new();
    for value in integers {
        found.push((
            value.to_string(),
            LogicalType::INT.with_nullable(false),
            Scalar::Int(value),
        ));
    }
    for text in texts {
        let ty = LogicalType::not_null(TypeKind::Char(text.encode_utf16().count() as u32));
        found.push((
            format!("'{}'", text.replace('\'', "''")),
            ty,
            Scalar::String(text.to_owned()),
        ));
    }
    let decimal = LogicalType::decimal(3, 2).with_nullable(false);
    found.push(("1.25".to_owned(), decimal.clone(), Scalar::Decimal(125)));
    found.push(("-9.99".to_owned(), decimal, Scalar::Decimal(-999)));
    found.push((
        "1.5e0".to_owned(),
        LogicalType::DOUBLE.with_nullable(false),
        Scalar::Double(1.5),
    ));
    found.push((
        "TRUE".to_owned(),
        LogicalType::not_null(TypeKind::Boolean),
        Scalar::Boolean(true),
    ));
    found
}
