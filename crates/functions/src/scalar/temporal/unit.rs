//! Units of time as SQL names them.

use crate::scalar::forms::refused;
use crate::signature::{ArgInfo, SignatureError};

/// A unit of EXTRACT, FLOOR, CEIL, TIMESTAMPADD or TIMESTAMPDIFF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Millennium,
    Century,
    Decade,
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    DayOfYear,
    DayOfWeek,
    IsoDayOfWeek,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Epoch,
}

impl Unit {
    /// The unit called `name`, with the prefix of ODBC if there is one.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        Some(match upper.strip_prefix("SQL_TSI_").unwrap_or(&upper) {
            "MILLENNIUM" => Self::Millennium,
            "CENTURY" => Self::Century,
            "DECADE" => Self::Decade,
            "YEAR" | "YEARS" => Self::Year,
            "ISOYEAR" => Self::IsoYear,
            "QUARTER" | "QUARTERS" => Self::Quarter,
            "MONTH" | "MONTHS" => Self::Month,
            "WEEK" | "WEEKS" => Self::Week,
            "DAY" | "DAYS" => Self::Day,
            "DOY" => Self::DayOfYear,
            "DOW" => Self::DayOfWeek,
            "ISODOW" => Self::IsoDayOfWeek,
            "HOUR" | "HOURS" => Self::Hour,
            "MINUTE" | "MINUTES" => Self::Minute,
            "SECOND" | "SECONDS" => Self::Second,
            "MILLISECOND" => Self::Millisecond,
            "MICROSECOND" | "FRAC_SECOND" => Self::Microsecond,
            "NANOSECOND" => Self::Nanosecond,
            "EPOCH" => Self::Epoch,
            _ => return None,
        })
    }

    /// Months of a unit that is counted in months.
    pub(crate) fn months(self) -> Option<i64> {
        Some(match self {
            Self::Millennium => 12_000,
            Self::Century => 1_200,
            Self::Decade => 120,
            Self::Year => 12,
            Self::Quarter => 3,
            Self::Month => 1,
            _ => return None,
        })
    }

    /// Nanoseconds of a unit of fixed length.
    pub(crate) fn nanos(self) -> Option<i128> {
        let millis: i128 = 1_000_000;
        Some(match self {
            Self::Week => 7 * 86_400_000 * millis,
            Self::Day => 86_400_000 * millis,
            Self::Hour => 3_600_000 * millis,
            Self::Minute => 60_000 * millis,
            Self::Second => 1_000 * millis,
            Self::Millisecond => millis,
            Self::Microsecond => 1_000,
            Self::Nanosecond => 1,
            _ => return None,
        })
    }
}

/// The unit that an argument names as a literal.
pub(crate) fn unit_arg(args: &[ArgInfo<'_>], index: usize) -> Result<Unit, SignatureError> {
    let name = args
        .get(index)
        .and_then(|arg| arg.literal)
        .and_then(|literal| literal.as_str())
        .unwrap_or_default();
    Unit::parse(name).ok_or_else(|| refused(format!("'{name}' is not a valid time frame")))
}
