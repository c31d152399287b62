//! Casts to CHAR and VARCHAR: the printed value, cut or padded to the length.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use millstream_types::logical_type::MAX_LENGTH;
use millstream_types::{LogicalType, TypeKind};

use super::Step;
use crate::display::{Printer, Style};

/// The step from any type that prints to CHAR or VARCHAR.
pub(super) fn compile(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let length = Length::of(to);
    if from.is_character() {
        let kept = match (&from.kind, length) {
            (TypeKind::Char(n) | TypeKind::Varchar(n), Length::AtMost(most)) => *n <= most,
            _ => false,
        };
        return if kept {
            None
        } else {
            Some(Arc::new(move |array, run| {
                Ok(length.fit(array, run.env.legacy_cast))
            }))
        };
    }
    let (printer, legacy_printer) = (
        Printer::new(from, Style::Cast),
        Printer::new(from, Style::LegacyCast),
    );
    Some(Arc::new(move |array, run| {
        let legacy = run.env.legacy_cast;
        let printer = if legacy { &legacy_printer } else { &printer };
        Ok(length.fit(&printer.column(array, &run.env.zone), legacy))
    }))
}

/// What a character type asks of its values; lengths count code points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Length {
    Any,
    AtMost(u32),
    Exactly(u32),
}

impl Length {
    pub(super) fn of(ty: &LogicalType) -> Self {
        match ty.kind {
            TypeKind::Char(n) => Self::Exactly(n),
            TypeKind::Varchar(n) if n < MAX_LENGTH => Self::AtMost(n),
            _ => Self::Any,
        }
    }

    /// The texts cut or padded with blanks; legacy casts leave them as they are.
    pub(super) fn fit(self, array: &ArrayRef, legacy: bool) -> ArrayRef {
        let texts = array.as_string_view();
        let fitting = legacy || texts.iter().flatten().all(|text| self.holds(text));
        if fitting {
            return Arc::clone(array);
        }
        let mut builder = StringViewBuilder::with_capacity(texts.len());
        let mut padded = String::new();
        for text in texts {
            match text {
                None => builder.append_null(),
                Some(text) => {
                    padded.clear();
                    self.write_fitted(&mut padded, text);
                    builder.append_value(&padded);
                }
            }
        }
        Arc::new(builder.finish())
    }

    fn holds(self, text: &str) -> bool {
        match self {
            Self::Any => true,
            // A code point takes a byte at least.
            Self::AtMost(most) => text.len() <= most as usize || text.chars().count() <= most as usize,
            Self::Exactly(length) => text.chars().count() == length as usize,
        }
    }

    fn write_fitted(self, out: &mut String, text: &str) {
        match self {
            Self::Any => out.push_str(text),
            Self::AtMost(most) => out.extend(text.chars().take(most as usize)),
            Self::Exactly(length) => {
                let blanks = std::iter::repeat(' ');
                out.extend(text.chars().chain(blanks).take(length as usize));
            }
        }
    }
}
