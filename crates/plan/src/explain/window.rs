//! Windows in the notation of plans.

use super::literal::duration;
use crate::aggregate::{WindowAssign, WindowKind, WindowProperty, WindowSpec};

/// `TUMBLE(time_col=[ts], size=[10 s])`, or with `win_start` and `win_end` if the rows already have window columns.
pub(super) fn window(spec: &WindowSpec, names: &[String]) -> String {
    let name = |column: usize| names.get(column).cloned().unwrap_or_else(|| format!("${column}"));
    let place = match spec.assign {
        WindowAssign::TimeColumn(time) => format!("time_col=[{}]", name(time)),
        WindowAssign::Attached {
            start: Some(start),
            end,
        } => {
            format!("win_start=[{}], win_end=[{}]", name(start), name(end))
        }
        WindowAssign::Attached { start: None, end } => format!("win_end=[{}]", name(end)),
    };
    kind(spec.kind, &place)
}

fn kind(kind: WindowKind, place: &str) -> String {
    let (function, sizes) = match kind {
        WindowKind::Tumble { size_ms, .. } => ("TUMBLE", format!("size=[{}]", duration(size_ms))),
        WindowKind::Hop {
            slide_ms, size_ms, ..
        } => (
            "HOP",
            format!("size=[{}], slide=[{}]", duration(size_ms), duration(slide_ms)),
        ),
        WindowKind::Cumulate { step_ms, size_ms, .. } => (
            "CUMULATE",
            format!("max_size=[{}], step=[{}]", duration(size_ms), duration(step_ms)),
        ),
        WindowKind::Session { gap_ms } => ("SESSION", format!("gap=[{}]", duration(gap_ms))),
    };
    let offset = match kind.offset_ms() {
        0 => String::new(),
        offset_ms => format!(", offset=[{}]", duration(offset_ms)),
    };
    format!("{function}({place}, {sizes}{offset})")
}

/// The expression behind a window property.
pub(super) fn property(property: WindowProperty, event_time: bool) -> &'static str {
    match property {
        WindowProperty::Start => "start('w$)",
        WindowProperty::End => "end('w$)",
        WindowProperty::Time if event_time => "rowtime('w$)",
        WindowProperty::Time => "proctime('w$)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_readable_units() {
        let names = ["a".to_owned(), "ts".to_owned(), "window_end".to_owned()];
        let spec = |kind, assign| WindowSpec {
            kind,
            assign,
            event_time: true,
            local_time: false,
        };
        let hop = WindowKind::Hop {
            slide_ms: 1_000,
            size_ms: 60_000,
            offset_ms: 500,
        };
        assert_eq!(
            window(&spec(hop, WindowAssign::TimeColumn(1)), &names),
            "HOP(time_col=[ts], size=[1 min], slide=[1 s], offset=[500 ms])"
        );
        let cumulate = WindowKind::Cumulate {
            step_ms: 3_600_000,
            size_ms: 86_400_000,
            offset_ms: 0,
        };
        assert_eq!(
            window(
                &spec(cumulate, WindowAssign::Attached { start: None, end: 2 }),
                &names
            ),
            "CUMULATE(win_end=[window_end], max_size=[1 d], step=[1 h])"
        );
    }
}
