//! Arms a failpoint, for `millstream chaos` and tests, which kill the process at a named place.

use anyhow::Context;
use millstream_types::failpoint;

/// `NAME:PASS:FILE`, see [`failpoint::arm`].
pub const VARIABLE: &str = "MILLSTREAM_FAILPOINT";

/// Arms what the environment asks for.
pub fn arm() -> anyhow::Result<()> {
    let Ok(text) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    let mut parts = text.splitn(3, ':');
    let (Some(name), Some(pass), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
        anyhow::bail!("invalid value '{text}' for {VARIABLE}: expected NAME:PASS:FILE");
    };
    let pass = pass
        .parse()
        .with_context(|| format!("invalid number of passes '{pass}'"))?;
    Ok(failpoint::arm(name, pass, file.into())?)
}
