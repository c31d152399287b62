//! Expressions by type: every scalar function, with arguments that its signature accepts, over the corner values.

use millstream_functions::all_scalars;
use millstream_functions::scalar::ScalarFunction;
use millstream_functions::signature::ArgInfo;
use millstream_types::{LogicalType, Rng, Scalar};

use super::corner_values::{columns, literals, table};
use super::engines::{Engine, Outcome};
use super::{ROUND_LENGTH, Report, Settings};

/// Functions whose values differ from call to call, that are made by the planner, or that have no form of their own.
const LEFT_OUT: [&str; 22] = [
    "CURRENT_DATABASE",
    "CURRENT_DATE",
    "CURRENT_ROW_TIMESTAMP",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_WATERMARK",
    "IN",
    "JSON_EXISTS",
    "JSON_QUERY",
    "JSON_VALUE",
    "JSON_OBJECT",
    "JSON_ARRAY",
    "JSON",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "MINUS_DATE",
    "NOW",
    "OVERLAPS",
    "PROCTIME",
    "RAND",
    "RAND_INTEGER",
    "UUID",
];
const DRAWS: usize = 60;
const ARITY_MAX: u64 = 4;
const UNITS: [&str; 9] = [
    "YEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MILLISECOND",
];

/// An argument: its text, type and value.
#[derive(Clone)]
struct Argument {
    sql: String,
    ty: LogicalType,
    literal: Option<Scalar>,
}

struct Generator<'a> {
    rng: &'a dyn Rng,
    functions: Vec<&'static ScalarFunction>,
    columns: Vec<Argument>,
    literals: Vec<Argument>,
}

/// One round: a table of corner values, and expressions over it.
pub fn round(
    engines: &mut [&mut dyn Engine; 2],
    rng: &dyn Rng,
    settings: &Settings,
    report: &mut Report,
) -> anyhow::Result<()> {
    let zone = ["UTC", "America/New_York", "Asia/Shanghai"][rng.next_u64() as usize % 3];
    let directory = tempfile::Builder::new().prefix("fuzz-sql-").tempdir()?;
    let [table, view] = table(rng, directory.path())?;
    for sql in [
        "SET 'execution.runtime-mode' = 'batch'".to_owned(),
        format!("SET 'table.local-time-zone' = '{zone}'"),
        table,
        view,
    ] {
        for engine in engines.iter_mut() {
            if let Err(message) = engine.execute(&sql)? {
                anyhow::bail!("{message}\n{sql}");
            }
        }
    }
    let is_wanted = |f: &&ScalarFunction| {
        !LEFT_OUT.contains(&f.name)
            && (settings.only.is_empty() || settings.only.iter().any(|name| name == f.name))
    };
    let functions: Vec<&'static ScalarFunction> = all_scalars().filter(is_wanted).collect();
    let mut generator = Generator {
        rng,
        functions,
        columns: columns()
            .into_iter()
            .map(|c| Argument {
                sql: c.name.to_owned(),
                ty: c.ty,
                literal: None,
            })
            .collect(),
        literals: literals()
            .into_iter()
            .map(|(sql, ty, value)| Argument {
                sql,
                ty,
                literal: Some(value),
            })
            .collect(),
    };
    let mut expressions = Vec::new();
    while expressions.len() < ROUND_LENGTH {
        let number = expressions.len() % generator.functions.len();
        let function = generator.functions[number];
        match generator.call(function, 1) {
            Some(argument) => expressions.push((function.name, argument.sql)),
            None => expressions.push((function.name, "1".to_owned())),
        }
    }
    expressions.retain(|(_, sql)| !sql.contains("UNIX_TIMESTAMP()"));
    for batch in expressions.chunks(settings.batch) {
        compare(engines, batch, zone, report)?;
    }
    Ok(())
}

fn compare(
    engines: &mut [&mut dyn Engine; 2],
    batch: &[(&str, String)],
    zone: &str,
    report: &mut Report,
) -> anyhow::Result<()> {
    let outcomes = evaluate(engines[1], batch)?;
    // Flink gets those that fail one by one: among the others they would cost many halves.
    let (failing, good): (Vec<usize>, Vec<usize>) = (0..batch.len()).partition(|i| outcomes[*i].is_err());
    let good_batch: Vec<(&str, String)> = good.iter().map(|i| batch[*i].clone()).collect();
    let mut found: Vec<(usize, Outcome)> = good.into_iter().zip(evaluate(engines[0], &good_batch)?).collect();
    for place in failing {
        found.push((place, evaluate(engines[0], &batch[place..=place])?.remove(0)));
    }
    for (place, flink) in found {
        let (name, sql) = &batch[place];
        report.add(name, &format!("{sql} [{zone}]"), &flink, &outcomes[place]);
    }
    Ok(())
}

/// The values of each expression in all rows. A batch that fails is halved.
fn evaluate(engine: &mut dyn Engine, batch: &[(&str, String)]) -> anyhow::Result<Vec<Outcome>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let columns: Vec<String> = batch
        .iter()
        .enumerate()
        .map(|(i, (_, sql))| format!("{sql} AS c{i}"))
        .collect();
    let sql = format!("SELECT id, {} FROM corner_values", columns.join(", "));
    match engine.execute(&sql)? {
        Ok(rows) => {
            let mut rows: Vec<Vec<&str>> = rows.iter().map(|row| row.split('\t').skip(1).collect()).collect();
            rows.sort_by_key(|row| row.first().and_then(|id| id.parse::<usize>().ok()));
            let column = |i: usize| {
                let cells = rows
                    .iter()
                    .map(|row| row.get(i + 1).copied().unwrap_or("").to_owned());
                Ok(cells.collect::<Vec<String>>())
            };
            Ok((0..batch.len()).map(column).collect())
        }
        Err(message) if batch.len() == 1 => Ok(vec![Err(message)]),
        Err(_) => {
            let (left, right) = batch.split_at(batch.len() / 2);
            let mut outcomes = evaluate(engine, left)?;
            outcomes.extend(evaluate(engine, right)?);
            Ok(outcomes)
        }
    }
}

impl Generator<'_> {
    fn below(&mut self, limit: usize) -> usize {
        (self.rng.next_u64() % limit.max(1) as u64) as usize
    }

    fn argument(&mut self, depth: usize) -> Argument {
        match self.below(10) {
            0..=2 => {
                let place = self.below(self.literals.len());
                self.literals[place].clone()
            }
            3 if depth > 0 => {
                let place = self.below(self.functions.len());
                let function = self.functions[place];
                self.call(function, depth - 1)
                    .unwrap_or_else(|| self.columns[0].clone())
            }
            _ => {
                let place = self.below(self.columns.len());
                self.columns[place].clone()
            }
        }
    }

    fn unit(&mut self) -> Argument {
        let unit = UNITS[self.below(UNITS.len())];
        Argument {
            sql: unit.to_owned(),
            ty: LogicalType::not_null(millstream_types::TypeKind::Char(unit.len() as u32)),
            literal: Some(Scalar::String(unit.to_owned())),
        }
    }

    /// A call that the function's signature accepts, if one is found.
    fn call(&mut self, function: &'static ScalarFunction, depth: usize) -> Option<Argument> {
        for _ in 0..DRAWS {
            let arity = self.rng.next_u64() % (ARITY_MAX + 1);
            let mut args: Vec<Argument> = (0..arity).map(|_| self.argument(depth)).collect();
            let unit_at = match function.name {
                "EXTRACT" | "TIMESTAMPADD" | "TIMESTAMPDIFF" => Some(0),
                "FLOOR_TO" | "CEIL_TO" => Some(1),
                _ => None,
            };
            if let Some(place) = unit_at.filter(|place| *place < args.len()) {
                args[place] = self.unit();
            }
            let infos: Vec<ArgInfo<'_>> = args
                .iter()
                .map(|arg| ArgInfo {
                    ty: &arg.ty,
                    literal: arg.literal.as_ref(),
                })
                .collect();
            let Ok(signature) = (function.signature)(&infos) else {
                continue;
            };
            let texts: Vec<&str> = args.iter().map(|arg| arg.sql.as_str()).collect();
            let Some(sql) = written(function.name, &texts) else {
                continue;
            };
            return Some(Argument {
                sql,
                ty: signature.result,
                literal: None,
            });
        }
        None
    }
}

/// A call as SQL has it.
fn written(name: &str, args: &[&str]) -> Option<String> {
    Some(match (name, args) {
        ("FLOOR_TO", [x, unit]) => format!("FLOOR({x} TO {unit})"),
        ("CEIL_TO", [x, unit]) => format!("CEIL({x} TO {unit})"),
        ("EXTRACT", [unit, x]) => format!("EXTRACT({unit} FROM {x})"),
        ("ITEM", [x, index]) => format!("{x}[{index}]"),
        ("NEG", [x]) => format!("-({x})"),
        ("NOT", [x]) => format!("NOT ({x})"),
        ("POSITION", [x, y]) => format!("POSITION({x} IN {y})"),
        ("OVERLAY", [x, y, from]) => format!("OVERLAY({x} PLACING {y} FROM {from})"),
        ("OVERLAY", [x, y, from, length]) => format!("OVERLAY({x} PLACING {y} FROM {from} FOR {length})"),
        ("TRIM", _) => return None,
        ("LIKE" | "SIMILAR TO", [x, y]) => format!("({x} {name} {y})"),
        ("LIKE" | "SIMILAR TO", _) => return None,
        ("ARRAY", args) if !args.is_empty() => format!("ARRAY[{}]", args.join(", ")),
        ("MAP", args) if !args.is_empty() => format!("MAP[{}]", args.join(", ")),
        (name, [x]) if name.starts_with("IS ") => format!("({x}) {name}"),
        (name, [x]) if !name.starts_with(|c: char| c.is_ascii_alphabetic()) => format!("{name}({x})"),
        (name, [x, y]) if name.contains(' ') || !name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("({x} {name} {y})")
        }
        (name, args) if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
            format!("{name}({})", args.join(", "))
        }
        _ => return None,
    })
}
