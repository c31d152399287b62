//! What the process reads from the machine that it runs on. The crates below get it as values.

use std::sync::Arc;

/// The IANA name of the machine's time zone; UTC if it has none.
pub fn zone_name() -> Arc<str> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the zone that sessions start with"
    )]
    let zone = jiff::tz::TimeZone::system();
    zone.iana_name().unwrap_or("UTC").into()
}
