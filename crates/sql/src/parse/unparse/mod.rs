//! From the syntax tree back to text, in the form that Flink prints: key words in capitals, names in back-ticks,
//! parentheses only where precedence needs them, one clause of a query on a line.
//!
//! SHOW CREATE, DESCRIBE and EXPLAIN show this text, so it is a promise. It can be parsed again and then gives
//! itself: what Flink's own parser rewrites (`CASE x WHEN 1` to `CASE WHEN x = 1`, a missing ELSE to `ELSE NULL`) is
//! printed rewritten. Nothing is resolved here: a caller that needs qualified names puts them into the tree.

mod ddl;
mod expr;
mod function;
mod query;
mod statement;
mod table_ref;
mod types;

use super::ast::{DataType, Expr, Ident, ObjectName, Query, SqlOption, Statement};

/// The canonical text of an expression.
pub fn expr_to_sql(expr: &Expr) -> String {
    Printer::print(|printer| printer.expr(expr))
}

/// The canonical text of a query, with a line for each clause.
pub fn query_to_sql(query: &Query) -> String {
    Printer::print(|printer| printer.query(query))
}

/// The canonical text of a type as it was spelled (`INT` is `INTEGER`).
pub fn data_type_to_sql(data_type: &DataType) -> String {
    Printer::print(|printer| printer.data_type(data_type))
}

/// The canonical text of a statement, without a `;`.
pub fn statement_to_sql(statement: &Statement) -> String {
    Printer::print(|printer| printer.statement(statement))
}

/// A name in back-ticks.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string in single quotes, whatever characters it holds.
pub fn quote_string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The text under construction. One method for each node; methods of one family are in one file.
struct Printer {
    text: String,
}

impl Printer {
    fn print(production: impl FnOnce(&mut Self)) -> String {
        let mut printer = Self { text: String::new() };
        production(&mut printer);
        printer.text
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn identifier(&mut self, ident: &Ident) {
        self.push(&quote_identifier(&ident.value));
    }

    fn name(&mut self, name: &ObjectName) {
        for (index, part) in name.parts.iter().enumerate() {
            if index > 0 {
                self.push(".");
            }
            self.identifier(part);
        }
    }

    fn string(&mut self, text: &str) {
        self.push(&quote_string(text));
    }

    /// Elements with `separator` between them.
    fn list<T>(&mut self, elements: &[T], separator: &str, mut element: impl FnMut(&mut Self, &T)) {
        for (index, item) in elements.iter().enumerate() {
            if index > 0 {
                self.push(separator);
            }
            element(self, item);
        }
    }

    fn in_parentheses(&mut self, production: impl FnOnce(&mut Self)) {
        self.push("(");
        production(self);
        self.push(")");
    }

    /// `(a, b)`.
    fn identifiers(&mut self, names: &[Ident]) {
        self.in_parentheses(|printer| printer.list(names, ", ", Self::identifier));
    }

    /// A prefix and a part, if the part is there.
    fn optional<T>(&mut self, prefix: &str, part: Option<T>, production: impl FnOnce(&mut Self, T)) {
        if let Some(part) = part {
            self.push(prefix);
            production(self, part);
        }
    }

    /// `'k' = 'v', …`.
    fn options(&mut self, options: &[SqlOption]) {
        self.list(options, ", ", |printer, option| {
            printer.string(&option.key.value);
            printer.push(" = ");
            printer.string(&option.value.value);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{parse_expression, parse_query};

    fn canonical(sql: &str) -> String {
        expr_to_sql(&parse_expression(sql).expect(sql))
    }

    #[test]
    fn prints_as_flink_does() {
        for (sql, expected) in [
            ("price*2+1", "`price` * 2 + 1"),
            ("ev.`at`", "`ev`.`at`"),
            (
                "concat('a''b', cast(id as varchar))",
                "CONCAT('a''b', CAST(`id` AS VARCHAR))",
            ),
            (
                "case when p > 10 then 'hi' end",
                "CASE WHEN `p` > 10 THEN 'hi' ELSE NULL END",
            ),
            (
                "case a when 1 then 2 else 3 end",
                "CASE WHEN `a` = 1 THEN 2 ELSE 3 END",
            ),
            (
                "to_timestamp_ltz(epoch_ms, 3)",
                "`TO_TIMESTAMP_LTZ`(`epoch_ms`, 3)",
            ),
            (
                "ts - interval '1:30' minute to second",
                "`ts` - INTERVAL '1:30' MINUTE TO SECOND",
            ),
            ("(a + b) * c - (d - e)", "(`a` + `b`) * `c` - (`d` - `e`)"),
            ("not (a and b) or c", "NOT (`a` AND `b`) OR `c`"),
            ("a between 1 and 2", "`a` BETWEEN ASYMMETRIC 1 AND 2"),
            ("trim(a)", "TRIM(BOTH ' ' FROM `a`)"),
            ("proctime()", "PROCTIME()"),
            ("-a", "- `a`"),
            (".5 + 1. + 007 + 1e3", "0.5 + 1 + 7 + 1E3"),
            ("'é'", "u&'\\00e9'"),
        ] {
            assert_eq!(canonical(sql), expected);
        }
    }

    #[test]
    fn prints_queries_by_lines() {
        let sql =
            "select a, b as c from t where a > 1 group by a, b having count(*) > 1 order by a desc limit 2";
        let query = parse_query(sql).expect("parses");
        assert_eq!(
            query_to_sql(&query),
            "SELECT `a`, `b` AS `c`\nFROM `t`\nWHERE `a` > 1\nGROUP BY `a`, `b`\nHAVING COUNT(*) > 1\nORDER BY `a` DESC\nFETCH NEXT 2 ROWS ONLY"
        );
    }
}
