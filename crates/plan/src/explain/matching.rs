//! MATCH_RECOGNIZE in EXPLAIN.

use super::operator::{Attributes, Described};
use crate::match_recognize::{
    MatchCondition, MatchSkip, MatchSpec, MatchVariable, Navigation, NavigationKind, RowsExprs,
};

impl Described<'_> {
    pub(super) fn matching(&self, spec: &MatchSpec) -> Attributes {
        let mut attributes = Vec::new();
        if !spec.partition.is_empty() {
            attributes.push(("partitionBy", self.columns(&spec.partition)));
        }
        attributes.push(("orderBy", self.order(&spec.order)));
        let names = self.output.iter().skip(spec.partition.len());
        let measures: Vec<String> = self
            .rows_exprs(spec, &spec.measures)
            .into_iter()
            .zip(names)
            .map(|(measure, name)| format!("{measure} AS {name}"))
            .collect();
        attributes.push(("measures", measures.join(", ")));
        attributes.push(("rowsPerMatch", "ONE ROW PER MATCH".to_owned()));
        attributes.push(("after", after(spec)));
        let pattern: Vec<String> = spec.variables.iter().map(variable).collect();
        attributes.push(("pattern", format!("({})", pattern.join(" "))));
        attributes.extend(spec.within_ms.map(|ms| ("within interval", format!("{ms} ms"))));
        let define: Vec<String> = spec
            .variables
            .iter()
            .filter_map(|variable| {
                let condition = match &variable.condition {
                    MatchCondition::Always => return None,
                    MatchCondition::Column(column) => self.column(*column),
                    MatchCondition::Rows(rows) => self.rows_exprs(spec, rows).join(", "),
                };
                Some(format!("{} AS {condition}", variable.name))
            })
            .collect();
        attributes.push(("define", define.join(", ")));
        attributes
    }

    fn rows_exprs(&self, spec: &MatchSpec, rows: &RowsExprs) -> Vec<String> {
        let names: Vec<String> = rows
            .navigations
            .iter()
            .map(|n| self.navigation(spec, n))
            .collect();
        rows.exprs
            .iter()
            .map(|expr| self.expr_over(expr, &names))
            .collect()
    }

    fn navigation(&self, spec: &MatchSpec, navigation: &Navigation) -> String {
        let variable = navigation
            .variable
            .and_then(|v| spec.variables.get(v))
            .map_or("*", |v| v.name.as_str());
        match &navigation.kind {
            NavigationKind::First { column, offset } => {
                format!("FIRST({variable}.{}, {offset})", self.column(*column))
            }
            NavigationKind::Last { column, offset } => {
                format!("LAST({variable}.{}, {offset})", self.column(*column))
            }
            NavigationKind::Aggregate(call) => {
                let args: Vec<String> = call
                    .args
                    .iter()
                    .map(|arg| format!("{variable}.{}", self.column(*arg)))
                    .collect();
                let args = if args.is_empty() {
                    "*".to_owned()
                } else {
                    args.join(", ")
                };
                format!("{}({args})", call.function)
            }
        }
    }
}

fn variable(variable: &MatchVariable) -> String {
    let quantifier = match (variable.min, variable.max) {
        (1, Some(1)) => return variable.name.clone(),
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (n, Some(m)) if n == m => format!("{{{n}}}"),
        (n, Some(m)) => format!("{{{n},{m}}}"),
        (n, None) => format!("{{{n},}}"),
    };
    let reluctant = if variable.greedy { "" } else { "?" };
    format!("{}{quantifier}{reluctant}", variable.name)
}

fn after(spec: &MatchSpec) -> String {
    let name = |v: usize| spec.variables.get(v).map_or("", |v| v.name.as_str());
    match spec.skip {
        MatchSkip::PastLastRow => "SKIP PAST LAST ROW".to_owned(),
        MatchSkip::ToNextRow => "SKIP TO NEXT ROW".to_owned(),
        MatchSkip::ToFirst(v) => format!("SKIP TO FIRST {}", name(v)),
        MatchSkip::ToLast(v) => format!("SKIP TO LAST {}", name(v)),
    }
}
