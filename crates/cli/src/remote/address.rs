//! Where the server of a data directory listens: a small file in that directory, written while the server runs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

/// Name of the file.
const FILE: &str = "server.json";

/// Addresses of a running server, as URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddresses {
    pub rest: String,
    pub gateway: String,
}

/// Removes the file when the server stops.
#[derive(Debug)]
pub struct Remembered(PathBuf);

impl Drop for Remembered {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes the addresses of this server into its data directory, until what this gives is dropped.
pub fn remember_server(data_dir: &Path, addresses: &ServerAddresses) -> anyhow::Result<Remembered> {
    let path = data_dir.join(FILE);
    let content = json!({"rest": addresses.rest, "gateway": addresses.gateway, "pid": std::process::id()});
    let beside = data_dir.join(format!("{FILE}.tmp"));
    std::fs::write(&beside, format!("{content}\n"))
        .and_then(|()| std::fs::rename(&beside, &path))
        .with_context(|| format!("cannot write '{}'", path.display()))?;
    Ok(Remembered(path))
}

/// The server of a data directory, if one has written its addresses. It may have died since.
pub fn find_server(data_dir: &Path) -> Option<ServerAddresses> {
    let text = std::fs::read_to_string(data_dir.join(FILE)).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let url = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(ServerAddresses {
        rest: url("rest")?,
        gateway: url("gateway")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_while_the_server_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let addresses = ServerAddresses {
            rest: "http://127.0.0.1:1".to_owned(),
            gateway: "http://127.0.0.1:2".to_owned(),
        };
        let remembered = remember_server(directory.path(), &addresses).expect("written");
        assert_eq!(find_server(directory.path()), Some(addresses));
        drop(remembered);
        assert_eq!(find_server(directory.path()), None);
    }
}
