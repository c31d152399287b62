//! The parser against corpus files in `tests/parse`, and against hostile input.
//!
//! `statements.txt` and `queries.txt` hold texts that parse, separated by blank lines. `expressions.txt` has a line
//! for each expression with its canonical text behind ` ==> `, `types.txt` the same for types. `grouping.txt` has pairs of expressions that must give
//! the same tree (` === `) or different ones (` =/= `). `rejects.txt` holds texts that do not parse, each followed by
//! lines `! fragment` that the message must contain.

use millstream_sql::parse::ast::visit::{self, VisitMut};
use millstream_sql::parse::ast::{Expr, ExprKind};
use millstream_sql::parse::unparse::{data_type_to_sql, expr_to_sql, statement_to_sql};
use millstream_sql::parse::{
    NESTING_DEPTH_MAX, TREE_HEIGHT_MAX, parse_data_type, parse_expression, parse_statement, parse_statements,
};
use millstream_types::ErrorCode;
use proptest::prelude::*;

fn corpus(name: &str) -> String {
    let path = format!("{}/tests/parse/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Blocks between blank lines, without lines that begin with `#`.
fn blocks(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n");
    joined
        .split("\n\n")
        .map(|block| block.trim_matches('\n').to_owned())
        .filter(|block| !block.is_empty())
        .collect()
}

/// The canonical text must parse to a tree that prints the same and, once canonical, is the same.
fn check_round_trip(sql: &str) -> Result<(), String> {
    let statement = parse_statement(sql).map_err(|error| format!("{sql}\n{}", error.render(sql)))?;
    let text = statement_to_sql(&statement);
    let again = parse_statement(&text).map_err(|error| format!("{sql}\n{}", error.render(&text)))?;
    let text_again = statement_to_sql(&again);
    if text_again != text {
        return Err(format!("{sql}\nprints as\n{text}\nand then as\n{text_again}"));
    }
    let third = parse_statement(&text_again).map_err(|error| error.to_string())?;
    if third != again {
        Err(format!("{sql}\nchanges its tree when printed as\n{text}"))
    } else {
        Ok(())
    }
}

fn check_all(name: &str) {
    let blocks = blocks(&corpus(name));
    assert!(!blocks.is_empty(), "{name} has cases");
    let failures: Vec<String> = blocks
        .iter()
        .filter_map(|sql| check_round_trip(sql).err())
        .collect();
    assert!(
        failures.is_empty(),
        "{} failures in {name}:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn statements_parse_and_print() {
    check_all("statements.txt");
}

#[test]
fn queries_parse_and_print() {
    check_all("queries.txt");
}

#[test]
fn expressions_print_canonically() {
    for line in corpus("expressions.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (sql, expected) = line.split_once(" ==> ").unwrap_or((line, line));
        let expr = parse_expression(sql).unwrap_or_else(|error| panic!("{}", error.render(sql)));
        let text = expr_to_sql(&expr);
        assert_eq!(text, expected, "{sql}");
        let again = parse_expression(&text).unwrap_or_else(|error| panic!("{}", error.render(&text)));
        assert_eq!(expr_to_sql(&again), text, "{sql}");
    }
}

#[test]
fn operators_group_by_precedence() {
    for line in corpus("grouping.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (separator, is_same) = if line.contains(" === ") {
            (" === ", true)
        } else {
            (" =/= ", false)
        };
        let (left, right) = line.split_once(separator).expect("a pair");
        let tree = |sql: &str| parse_expression(sql).unwrap_or_else(|error| panic!("{}", error.render(sql)));
        assert_eq!(tree(left) == tree(right), is_same, "{line}");
    }
}

#[test]
fn data_types_print_canonically() {
    for line in corpus("types.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (sql, expected) = line.split_once(" ==> ").unwrap_or((line, line));
        let data_type = parse_data_type(sql).unwrap_or_else(|error| panic!("{}", error.render(sql)));
        assert_eq!(data_type_to_sql(&data_type), expected, "{sql}");
        assert_eq!(parse_data_type(expected).as_ref(), Ok(&data_type), "{sql}");
    }
}

#[test]
fn wrong_texts_are_explained() {
    let blocks = blocks(&corpus("rejects.txt"));
    let mut failures = Vec::new();
    for block in &blocks {
        let is_fragment = |line: &&str| line.starts_with("! ");
        let sql = block
            .lines()
            .filter(|line| !is_fragment(line))
            .collect::<Vec<_>>()
            .join("\n");
        let message = match parse_statement(&sql) {
            Ok(_) => "no error".to_owned(),
            Err(error) => error.to_string(),
        };
        for fragment in block.lines().filter(is_fragment) {
            if !message.to_lowercase().contains(&fragment[2..].to_lowercase()) {
                failures.push(format!("{sql}\n  says: {message}\n  lacks: {}", &fragment[2..]));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn scripts_hold_many_statements() {
    let statements = parse_statements(";; SELECT 1; CREATE TABLE t (a INT);\n-- end\n").expect("parses");
    assert_eq!(statements.len(), 2);
    assert_eq!(parse_statements("").map(|statements| statements.len()), Ok(0));
    assert!(parse_statement("SELECT 1; SELECT 2").is_err());
}

#[test]
fn unfinished_texts_are_told_apart() {
    for sql in [
        "SELECT * FROM",
        "SELECT (1 + 2",
        "CREATE TABLE t (a INT",
        "INSERT INTO t",
        "SET 'a'",
        "SELECT CASE WHEN a THEN",
    ] {
        assert_eq!(
            parse_statement(sql).map_err(|error| error.code),
            Err(ErrorCode::UnexpectedEnd),
            "{sql}"
        );
    }
}

/// Frames of unoptimised code are several times larger than those that the limits are made for.
const TEST_STACK_BYTES: usize = 8 << 20;

fn on_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(TEST_STACK_BYTES)
        .spawn(test)
        .expect("a thread starts");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn deep_nesting_is_refused() {
    on_large_stack(refuse_deep_nesting);
}

fn refuse_deep_nesting() {
    let deep = 10_000;
    let repeated = |open: &str, middle: &str, close: &str| {
        format!("SELECT {}{middle}{}", open.repeat(deep), close.repeat(deep))
    };
    for sql in [
        repeated("(", "1", ")"),
        repeated("(SELECT ", "1", ")"),
        repeated("f(", "1", ")"),
        repeated("NOT ", "a", ""),
        repeated("- ", "a", ""),
        repeated("CASE WHEN ", "a", " THEN 1 END"),
        repeated("ARRAY[", "a", "]"),
        repeated("a[", "1", "]"),
        repeated("CAST(", "a", " AS INT)"),
        repeated("a IN (", "1", ")"),
        repeated("EXISTS (SELECT ", "1", ")"),
        repeated("JSON_ARRAY(", "1", ")"),
        repeated("a BETWEEN ", "1", " AND 2"),
        format!(
            "SELECT CAST(a AS {}INT{})",
            "ARRAY<".repeat(deep),
            ">".repeat(deep)
        ),
        format!("SELECT CAST(a AS {}", "ROW(a ".repeat(deep)),
        format!("SELECT * FROM {}t", "(".repeat(deep)),
        format!("SELECT * FROM {}", "(SELECT * FROM ".repeat(deep)),
        format!("SELECT * FROM t MATCH_RECOGNIZE (PATTERN ({}a", "(".repeat(deep)),
        format!("SELECT * FROM t GROUP BY {}", "GROUPING SETS (".repeat(deep)),
        "(".repeat(deep),
        format!("WITH a AS {}", "(".repeat(deep)),
    ] {
        let error = parse_statement(&sql).expect_err("is too deep");
        assert_eq!(error.code, ErrorCode::LimitExceeded, "{}… {error}", &sql[..40]);
    }
}

#[test]
fn long_chains_are_refused() {
    let long = TREE_HEIGHT_MAX + 10;
    for sql in [
        format!("SELECT 1{}", " + 1".repeat(long)),
        format!("SELECT a{}", "[1]".repeat(long)),
        format!("SELECT f(a){}", ".b".repeat(long)),
        format!("SELECT a{}", " IS NULL".repeat(long)),
        format!("SELECT CAST(a AS INT{})", " ARRAY".repeat(long)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(long)),
        format!("SELECT * FROM t{}", " JOIN t ON a = b".repeat(long)),
        format!("SELECT * FROM t{}", ", t".repeat(long)),
    ] {
        let error = parse_statement(&sql).expect_err("is too long");
        assert_eq!(error.code, ErrorCode::LimitExceeded, "{}… {error}", &sql[..40]);
    }
}

/// A visitor reaches every name of every kind of expression and table.
#[test]
fn visitors_reach_everything() {
    struct Rename;
    impl VisitMut for Rename {
        fn visit_expr(&mut self, expr: &mut Expr) {
            if let ExprKind::Identifier(name) = &mut expr.kind {
                name.parts
                    .iter_mut()
                    .for_each(|part| part.value = "seen".to_owned());
            }
            visit::walk_expr(self, expr);
        }
    }
    let expressions = corpus("expressions.txt");
    let lines = expressions
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for sql in lines.map(|line| line.split(" ==> ").next().unwrap_or(line)) {
        let mut expr = parse_expression(sql).unwrap_or_else(|error| panic!("{}", error.render(sql)));
        Rename.visit_expr(&mut expr);
        let text = expr_to_sql(&expr);
        let names_left = ["`a`", "`b`", "`c`", "`d`"]
            .iter()
            .filter(|name| text.contains(**name))
            .count();
        let has_field_of_type = sql.contains("ROW<");
        assert!(names_left == 0 || has_field_of_type, "{sql} gives {text}");
    }
}

/// The limits are of depth and chains, not of width.
#[test]
fn wide_statements_are_fine() {
    let wide = 5_000;
    let list = |element: &str| vec![element; wide].join(", ");
    for sql in [
        format!("SELECT {} FROM t", list("f(a) + 1")),
        format!("SELECT a IN ({}) FROM t", list("'x'")),
        format!("INSERT INTO t VALUES {}", list("(1, 'a')")),
        format!("SELECT f({})", list("a")),
        format!("CREATE TABLE t (a ROW<{}>, {})", list("b INT"), list("c AS a.b")),
        format!("SELECT CASE {} END", vec!["WHEN a = 1 THEN 2"; wide].join(" ")),
        format!(
            "EXECUTE STATEMENT SET BEGIN {} END",
            "INSERT INTO t SELECT a FROM b;".repeat(wide)
        ),
    ] {
        if let Err(error) = parse_statement(&sql) {
            panic!("{}… {error}", &sql[..40]);
        }
    }
}

/// What the limits let through must not overflow the stack in any operation on the tree.
#[test]
fn the_limits_are_safe() {
    on_large_stack(use_the_limits);
}

fn use_the_limits() {
    let deep = NESTING_DEPTH_MAX / 2 - 2;
    let long = TREE_HEIGHT_MAX - 10;
    for sql in [
        format!("SELECT {}a{}", "(1 + ".repeat(deep / 2), ")".repeat(deep / 2)),
        format!(
            "SELECT {}1{}",
            "CASE WHEN a IN (".repeat(deep / 2),
            ") THEN 1 END".repeat(deep / 2)
        ),
        format!(
            "SELECT {}1{}",
            "f((SELECT ".repeat(deep / 4),
            "))".repeat(deep / 4)
        ),
        format!("SELECT 1{}", " + 1".repeat(long)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(long)),
        format!("SELECT * FROM t{}", " JOIN t ON a = b".repeat(long)),
        format!("SELECT a{}", "[1]".repeat(long)),
    ] {
        if let Err(failure) = check_round_trip(&sql) {
            panic!("{}", failure.chars().take(500).collect::<String>());
        }
    }
}

/// A query in many parentheses must not be read once for each of them.
#[test]
fn nested_parentheses_are_read_once() {
    let depth = 24;
    let nested = |inner: &str| {
        format!(
            "SELECT {}{inner}{}",
            "((SELECT ".repeat(depth),
            ") + 1)".repeat(depth)
        )
    };
    check_round_trip(&nested("1")).expect("parses");
    let joined = format!(
        "SELECT * FROM {}t{}",
        "((SELECT * FROM ".repeat(depth),
        ") AS a JOIN t ON b = c)".repeat(depth)
    );
    check_round_trip(&joined).expect("parses");
}

const SOUP: &str = "SELECT FROM WHERE GROUP BY ORDER LIMIT ( ) [ ] , . ; = < > <> <= >= + - * / % || => ? : :: { } {- -} ^ $ | \
    CREATE TABLE VIEW DATABASE ALTER DROP ADD MODIFY RENAME TO SET RESET SHOW TABLES COLUMNS DESCRIBE EXPLAIN INSERT INTO \
    OVERWRITE VALUES WITH AS JOIN LEFT ON USING UNION ALL INTERSECT EXCEPT CASE WHEN THEN ELSE END CAST INTERVAL DAY SECOND \
    DATE TIMESTAMP 'x' '2024-01-01' 1 1.5 1e3 a b `c` NOT NULL AND OR IS IN LIKE BETWEEN EXISTS ROW ARRAY MAP INT STRING \
    DECIMAL PRIMARY KEY ENFORCED WATERMARK FOR COMMENT PARTITIONED MATCH_RECOGNIZE PATTERN DEFINE MEASURES OVER PARTITION \
    TUMBLE DESCRIPTOR LATERAL UNNEST JSON_VALUE JSON_OBJECT TRIM EXTRACT EXECUTE STATEMENT BEGIN /*+ */ OPTIONS X'0F' U&'\\00e9'";

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(SOUP.split_whitespace().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Tokens in any order parse or are refused, but never panic; what parses prints and parses again.
    #[test]
    fn token_soup_is_harmless(tokens in prop::collection::vec(token(), 0..40), start in 0..6_usize) {
        let starts = ["", "SELECT", "SELECT a FROM t", "CREATE TABLE t (", "INSERT INTO t", "ALTER TABLE t"];
        let sql = format!("{} {}", starts[start], tokens.join(" "));
        match parse_statement(&sql) {
            Ok(_) => prop_assert_eq!(check_round_trip(&sql), Ok(())),
            Err(error) => prop_assert!(error.render(&sql).contains("line ")),
        }
    }

    /// The same for characters in any order, also outside of ASCII.
    #[test]
    fn character_soup_is_harmless(text in "[ -~\\n\\t\u{e9}\u{65e5}\u{1f600}]{0,60}") {
        if let Err(error) = parse_statement(&text) {
            prop_assert!(!error.render(&text).is_empty());
        }
        for span in millstream_sql::parse::split::split(&text) {
            prop_assert!(!span.text(&text).is_empty());
        }
    }

    /// Expressions that are built from parts keep their grouping through printing.
    #[test]
    fn printed_expressions_keep_their_grouping(sql in expression(4)) {
        let expr = parse_expression(&sql).map_err(|error| TestCaseError::fail(error.render(&sql)))?;
        let text = expr_to_sql(&expr);
        let again = parse_expression(&text).map_err(|error| TestCaseError::fail(error.render(&text)))?;
        prop_assert_eq!(expr, again);
    }
}

/// Texts of expressions in full parentheses, so that the tree is known to be any tree.
fn expression(depth: u32) -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "t.b",
        "1",
        "1.5",
        "'x'",
        "NULL",
        "TRUE",
        "F(a)",
        "a[1]",
        "CURRENT_DATE",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(depth, 32, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "||",
            "=",
            "<>",
            "<",
            ">=",
            "AND",
            "OR",
            "IS DISTINCT FROM",
            "OVERLAPS",
            "MEMBER OF",
            "MULTISET UNION",
            "MULTISET INTERSECT ALL",
            "SUBMULTISET OF",
        ]);
        let prefix = prop::sample::select(vec!["-", "+", "NOT"]);
        let test = prop::sample::select(vec!["IS NULL", "IS NOT TRUE", "IS JSON OBJECT"]);
        let like = prop::sample::select(vec!["LIKE", "NOT LIKE", "SIMILAR TO", "NOT SIMILAR TO"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(l, op, r)| format!("({l}) {op} ({r})")),
            (prefix, inner.clone()).prop_map(|(op, a)| format!("{op} ({a})")),
            (inner.clone(), test).prop_map(|(a, test)| format!("({a}) {test}")),
            (inner.clone(), like, inner.clone()).prop_map(|(a, like, b)| format!("({a}) {like} ({b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) NOT BETWEEN SYMMETRIC ({b}) AND ({c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) IN (({b}), 2)")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("CASE WHEN ({a}) THEN ({b}) ELSE 1 END")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[({b})]")),
            inner.clone().prop_map(|a| format!("({a}).`field`")),
            inner.clone().prop_map(|a| format!("CAST(({a}) AS INTEGER)")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("(({a}), ({b})) = ROW(({a}), ({b}))")),
        ]
    })
}
