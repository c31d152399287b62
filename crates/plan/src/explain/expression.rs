//! Expressions in the notation of plans.

use crate::expr::Expr;

use super::Notation;
use super::literal::{type_name, write_literal};
use millstream_types::{LogicalType, Scalar, TypeKind};

/// Operators written in infix notation.
const BETWEEN: [&str; 14] = [
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
];

/// Notation of columns, literals and calls.
#[derive(Clone, Copy, Debug)]
pub enum Style<'n> {
    /// `>($0, 10)`: literals and casts with full types; for syntax trees. Unnamed columns are printed as positions.
    Tree(&'n [String]),
    /// `>(a, 10)`: for physical plans.
    Prefix(&'n [String]),
    /// `(a > 10)`: for execution plans and messages.
    Infix(&'n [String]),
}

impl<'n> Style<'n> {
    pub(super) fn of(notation: Notation, names: &'n [String]) -> Self {
        match notation {
            Notation::Prefix => Self::Prefix(names),
            Notation::Infix => Self::Infix(names),
        }
    }

    fn is_tree(self) -> bool {
        matches!(self, Self::Tree(_))
    }

    fn is_infix(self) -> bool {
        matches!(self, Self::Infix(_))
    }
}

/// An expression as text.
pub fn expression(expr: &Expr, style: Style<'_>) -> String {
    let mut text = String::new();
    write(&mut text, expr, style);
    text
}

fn write(out: &mut String, expr: &Expr, style: Style<'_>) {
    match expr {
        Expr::Column { index, .. } => out.push_str(&column(*index, style)),
        Expr::Literal { value, ty } => write_literal(out, value, ty, style.is_tree()),
        Expr::Call { function, args, .. } => write_call(out, function, args, style),
        Expr::Cast { input, ty, safe } => write_cast(out, input, ty, *safe, style),
        Expr::And(args) => write_connected(out, "AND", args, style),
        Expr::Or(args) => write_connected(out, "OR", args, style),
        Expr::Case { .. } => write_list(out, "CASE", expr.children().into_iter(), style),
        Expr::Coalesce { args, .. } => write_list(out, "COALESCE", args.iter(), style),
        Expr::Field { input, index, .. } => {
            write(out, input, style);
            out.push('.');
            match &input.ty().kind {
                TypeKind::Row(fields) if *index < fields.len() => out.push_str(&fields[*index].name),
                _ => out.push_str(&format!("f{index}")),
            }
        }
    }
}

fn column(index: usize, style: Style<'_>) -> String {
    let (Style::Tree(names) | Style::Prefix(names) | Style::Infix(names)) = style;
    names.get(index).cloned().unwrap_or_else(|| format!("${index}"))
}

fn write_call(out: &mut String, function: &str, args: &[Expr], style: Style<'_>) {
    match args {
        [_, _] if BETWEEN.contains(&function) => write_connected(out, function, args, style),
        [arg] if style.is_infix() && function.starts_with("IS ") => {
            write(out, arg, style);
            out.push(' ');
            out.push_str(function);
        }
        [tested, among @ ..] if function == "IN" && !style.is_tree() => {
            out.push_str("SEARCH(");
            write(out, tested, style);
            out.push_str(", Sarg[");
            write_items(out, among.iter(), style);
            out.push_str("])");
        }
        _ => write_list(out, function, args.iter(), style),
    }
}

fn write_connected(out: &mut String, operator: &str, args: &[Expr], style: Style<'_>) {
    if !style.is_infix() {
        return write_list(out, operator, args.iter(), style);
    }
    out.push('(');
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            out.push(' ');
            out.push_str(operator);
            out.push(' ');
        }
        write(out, arg, style);
    }
    out.push(')');
}

fn write_list<'e>(out: &mut String, function: &str, args: impl Iterator<Item = &'e Expr>, style: Style<'_>) {
    out.push_str(function);
    out.push('(');
    write_items(out, args, style);
    out.push(')');
}

fn write_items<'e>(out: &mut String, items: impl Iterator<Item = &'e Expr>, style: Style<'_>) {
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(out, item, style);
    }
}

fn write_cast(out: &mut String, input: &Expr, ty: &LogicalType, safe: bool, style: Style<'_>) {
    if style.is_tree() {
        match input {
            // A number that stands for another type: `a > 10` with a BIGINT column.
            Expr::Literal {
                value: Scalar::Int(_),
                ..
            } if is_wider_number(ty) => return write(out, input, style),
            Expr::Literal {
                value: value @ Scalar::String(_),
                ..
            } if matches!(ty.kind, TypeKind::Varchar(_)) => {
                return write_literal(out, value, ty, true);
            }
            _ => {}
        }
    }
    out.push_str(if safe { "TRY_CAST(" } else { "CAST(" });
    write(out, input, style);
    if style.is_tree() {
        out.push_str("):");
        return out.push_str(&type_name(ty, true));
    }
    out.push_str(" AS ");
    out.push_str(&type_name(ty, false));
    out.push(')');
}

fn is_wider_number(ty: &LogicalType) -> bool {
    matches!(
        ty.kind,
        TypeKind::BigInt | TypeKind::Double | TypeKind::Decimal { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i32) -> Expr {
        Expr::literal(Scalar::Int(value), LogicalType::not_null(TypeKind::Int))
    }

    fn call(function: &str, args: Vec<Expr>) -> Expr {
        Expr::Call {
            function: function.to_owned(),
            args,
            ty: LogicalType::BOOLEAN,
        }
    }

    fn cast(input: Expr, kind: TypeKind) -> Expr {
        Expr::Cast {
            input: Box::new(input),
            ty: LogicalType::not_null(kind).with_nullable(true),
            safe: false,
        }
    }

    #[test]
    fn three_styles() {
        let names = ["a".to_owned(), "b".to_owned()];
        let a = || Expr::column(0, LogicalType::not_null(TypeKind::BigInt));
        let b = || Expr::column(1, LogicalType::STRING);
        let text = Expr::literal(
            Scalar::String("F%".to_owned()),
            LogicalType::not_null(TypeKind::Char(2)),
        );
        let cases = [
            (
                Expr::And(vec![
                    call(">", vec![a(), cast(int(10), TypeKind::BigInt)]),
                    call("IS NULL", vec![b()]),
                ]),
                [
                    "AND(>($0, 10), IS NULL($1))",
                    "AND(>(a, CAST(10 AS BIGINT)), IS NULL(b))",
                    "((a > CAST(10 AS BIGINT)) AND b IS NULL)",
                ],
            ),
            (
                call("LIKE", vec![b(), text]),
                ["LIKE($1, _UTF-16LE'F%')", "LIKE(b, 'F%')", "LIKE(b, 'F%')"],
            ),
            (
                call("NOT", vec![call("IN", vec![a(), int(1), int(2)])]),
                [
                    "NOT(IN($0, 1, 2))",
                    "NOT(SEARCH(a, Sarg[1, 2]))",
                    "NOT(SEARCH(a, Sarg[1, 2]))",
                ],
            ),
            (
                cast(a(), TypeKind::Int),
                ["CAST($0):INTEGER", "CAST(a AS INTEGER)", "CAST(a AS INTEGER)"],
            ),
            (
                call(
                    "+",
                    vec![
                        a(),
                        Expr::Coalesce {
                            args: vec![a(), int(1)],
                            ty: LogicalType::BOOLEAN,
                        },
                    ],
                ),
                [
                    "+($0, COALESCE($0, 1))",
                    "+(a, COALESCE(a, 1))",
                    "(a + COALESCE(a, 1))",
                ],
            ),
        ];
        for (expr, expected) in cases {
            let texts = [Style::Tree(&[]), Style::Prefix(&names), Style::Infix(&names)]
                .map(|style| expression(&expr, style));
            assert_eq!(texts, expected);
        }
    }
}
