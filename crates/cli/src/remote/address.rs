//! The addresses of the server of a data directory, in a small file that exists while the server runs. The file holds the
//! token by which the server knows its owner, so that only the owner may read it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

/// Name of the file.
const FILE: &str = "server.json";

/// Addresses of a running server, as URLs.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddresses {
    pub rest: String,
    pub gateway: String,
    /// Proves that a request comes from who may read the data directory.
    pub token: String,
}

impl std::fmt::Debug for ServerAddresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ServerAddresses");
        shown.field("rest", &self.rest).field("gateway", &self.gateway);
        shown.finish_non_exhaustive()
    }
}

/// Removes the file when it is dropped.
#[derive(Debug)]
pub struct Remembered(PathBuf);

impl Drop for Remembered {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes the server's addresses into its data directory. Dropping the result removes them.
pub fn remember_server(data_dir: &Path, addresses: &ServerAddresses) -> anyhow::Result<Remembered> {
    let path = data_dir.join(FILE);
    let content = json!({
        "rest": addresses.rest,
        "gateway": addresses.gateway,
        "pid": std::process::id(),
        "token": addresses.token,
    });
    let beside = data_dir.join(format!("{FILE}.tmp"));
    write_private(&beside, &format!("{content}\n"))
        .and_then(|()| std::fs::rename(&beside, &path))
        .with_context(|| format!("cannot write '{}'", path.display()))?;
    Ok(Remembered(path))
}

/// Writes a new file that only its owner may read, from its first byte on.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// The server of a data directory, if one has written its addresses. It may no longer run.
pub fn find_server(data_dir: &Path) -> Option<ServerAddresses> {
    let content = std::fs::read_to_string(data_dir.join(FILE)).ok()?;
    let value: Value = serde_json::from_str(&content).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(ServerAddresses {
        rest: text("rest")?,
        gateway: text("gateway")?,
        token: text("token").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn addresses_are_found_while_the_server_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let addresses = ServerAddresses {
            rest: "http://127.0.0.1:1".to_owned(),
            gateway: "http://127.0.0.1:2".to_owned(),
            token: "secret".to_owned(),
        };
        let remembered = remember_server(directory.path(), &addresses).expect("written");
        assert_eq!(find_server(directory.path()), Some(addresses.clone()));
        let metadata = std::fs::metadata(directory.path().join(FILE)).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(!format!("{addresses:?}").contains("secret"));
        drop(remembered);
        assert_eq!(find_server(directory.path()), None);
    }
}
