//! What callers from the network may have the server open, and HTTP over TLS.

use std::path::Path;
use std::sync::Arc;

use millstream_server::access::{OwnerToken, RemoteAccess};
use millstream_server::http::tls;
use millstream_types::{Options, SystemClock};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cluster::data;
use crate::doors::{Extras, Server, call, exchange, server_with};

/// The limits of a server that names `directories` and, maybe, hosts.
fn access(data_dir: &Path, directories: &str, hosts: Option<&str>, authenticates: bool) -> RemoteAccess {
    let mut options = Options::from([(
        "millstream.sql.allowed-directories".to_owned(),
        directories.to_owned(),
    )]);
    if let Some(hosts) = hosts {
        options.insert("millstream.sql.allowed-hosts".to_owned(), hosts.to_owned());
    }
    RemoteAccess::read(&options, data_dir, authenticates).unwrap()
}

async fn limited(directory: &TempDir, access: RemoteAccess) -> Server {
    let extras = Extras {
        access,
        ..Extras::default()
    };
    server_with(directory, extras).await
}

/// The error of a statement.
async fn error(server: &Server, session: &str, statement: &str) -> String {
    let operation = server.submit(session, statement).await;
    let mut token = 0;
    loop {
        let (status, page) = server.page(&operation, token, "JSON").await;
        if status != 200 {
            return page["errors"].to_string();
        }
        assert_ne!(page["resultType"], "EOS", "'{statement}' was executed: {page}");
        token += 1;
    }
}

fn csv(name: &str, path: &Path) -> String {
    format!(
        "CREATE TABLE {name} (line STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}')",
        path.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_read_and_write_only_below_allowed_directories() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (open, closed) = (files.path().join("open"), files.path().join("closed"));
    for each in [&open, &closed] {
        std::fs::create_dir(each).unwrap();
        std::fs::write(each.join("in.csv"), "secret\n").unwrap();
    }
    std::os::unix::fs::symlink(&closed, open.join("link")).unwrap();
    let server = limited(
        &directory,
        access(directory.path(), &open.display().to_string(), None, false),
    )
    .await;
    let session = server.open_session(json!({"table.dml-sync": "true"})).await;
    for (name, path) in [
        ("allowed", open.join("in.csv")),
        ("outside", closed.join("in.csv")),
        ("linked", open.join("link/in.csv")),
        ("climbing", open.join("../closed/in.csv")),
        ("data", directory.path().to_owned()),
        ("written", closed.join("out")),
    ] {
        server.rows(&session, &csv(name, &path)).await;
    }
    assert_eq!(
        server.rows(&session, "SELECT * FROM allowed").await,
        [json!(["secret"])]
    );
    for statement in [
        "SELECT * FROM outside".to_owned(),
        "SELECT * FROM linked".to_owned(),
        "SELECT * FROM climbing".to_owned(),
        "SELECT * FROM data".to_owned(),
        format!(
            "SELECT * FROM allowed /*+ OPTIONS('path' = '{}') */",
            closed.display()
        ),
        "INSERT INTO written VALUES ('x')".to_owned(),
        format!(
            "COMPILE PLAN '{}/plan.json' FOR INSERT INTO allowed VALUES ('x')",
            closed.display()
        ),
        format!("EXECUTE PLAN '{}/in.csv'", closed.display()),
    ] {
        let error = error(&server, &session, &statement).await;
        assert!(
            error.contains("millstream.sql.allowed-directories"),
            "{statement}: {error}"
        );
    }
    assert!(!closed.join("out").exists() && !closed.join("plan.json").exists());
    let elsewhere = json!({"execution.checkpointing.savepoint-dir": closed.display().to_string()});
    let session = server.open_session(elsewhere).await;
    server
        .rows(&session, "CREATE TABLE s (n INT) WITH ('connector' = 'datagen')")
        .await;
    let error = error(&server, &session, "SELECT * FROM s").await;
    assert!(
        error.contains("savepoint-dir") && error.contains("outside"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_do_not_lead_the_server_to_its_own_network() {
    let directory = tempfile::tempdir().unwrap();
    for (hosts, authenticates, address, reason) in [
        (None, true, "127.0.0.1:9", Some("loopback")),
        (None, true, "[::ffff:127.0.0.1]:9", Some("loopback")),
        (None, true, "0.0.0.0:9", Some("loopback")),
        (None, false, "169.254.169.254:80", Some("link-local")),
        (
            Some("kafka.example:9092"),
            true,
            "127.0.0.1:9",
            Some("allowed-hosts"),
        ),
        (Some("127.0.0.1:8"), true, "127.0.0.1:9", Some("allowed-hosts")),
        // Permitted; nothing listens there.
        (Some("127.0.0.1"), true, "127.0.0.1:9", None),
        (None, false, "127.0.0.1:9", None),
    ] {
        let server = limited(&directory, access(directory.path(), "", hosts, authenticates)).await;
        let session = server
            .open_session(json!({"restart-strategy.type": "none"}))
            .await;
        let table = format!(
            "CREATE TABLE t (a STRING) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'raw', \
             'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', \
             'properties.default.api.timeout.ms' = '300', 'properties.bootstrap.servers' = '{address}')"
        );
        server.rows(&session, &table).await;
        let error = error(&server, &session, "SELECT * FROM t").await;
        match reason {
            Some(reason) => assert!(
                error.contains("not permitted") && error.contains(reason),
                "{address}: {error}"
            ),
            None => assert!(!error.contains("not permitted"), "{address}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_name_no_files_outside() {
    let directory = tempfile::tempdir().unwrap();
    let server = limited(&directory, access(directory.path(), "", None, false)).await;
    let session = server
        .open_session(json!({"restart-strategy.type": "none"}))
        .await;
    for key in [
        "ssl.truststore.location",
        "ssl.keystore.location",
        "ssl.ca.location",
    ] {
        let table = format!(
            "CREATE TABLE t (a STRING) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'raw', \
             'properties.security.protocol' = 'SSL', 'properties.{key}' = '/etc/passwd', \
             'properties.bootstrap.servers' = '192.0.2.1:9092')"
        );
        server.rows(&session, "DROP TABLE IF EXISTS t").await;
        server.rows(&session, &table).await;
        let error = error(&server, &session, "SELECT * FROM t").await;
        assert!(
            error.contains(key) && error.contains("allowed-directories"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_data_directory_has_the_rights_of_the_process() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(files.path().join("in.csv"), "mine\n").unwrap();
    let (owner, token) = OwnerToken::generate().unwrap();
    let server = server_with(
        &directory,
        Extras {
            access: access(directory.path(), "", None, false),
            owner: Some(Arc::new(owner)),
            ..Extras::default()
        },
    )
    .await;
    for (given, allowed) in [(token.as_str(), true), ("guess", false)] {
        let headers = format!("Authorization: Bearer {given}\r\n");
        let (status, opened) = call(&server.gateway, "POST", "/v2/sessions", &headers, "{}").await;
        assert_eq!(status, 200);
        let session = format!("/v2/sessions/{}", opened["sessionHandle"].as_str().unwrap());
        server
            .rows(&session, &csv("t", &files.path().join("in.csv")))
            .await;
        if allowed {
            assert_eq!(server.rows(&session, "SELECT * FROM t").await, [json!(["mine"])])
        } else {
            let error = error(&server, &session, "SELECT * FROM t").await;
            assert!(error.contains("allowed-directories"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoints_go_only_to_allowed_directories() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = limited(&directory, access(directory.path(), "", None, false)).await;
    let session = server.open_session(json!({})).await;
    for statement in [
        "CREATE TABLE n (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1')",
        "CREATE TABLE o (n INT) WITH ('connector' = 'blackhole')",
        "INSERT INTO o SELECT n FROM n",
    ] {
        server.rows(&session, statement).await;
    }
    let (_, jobs) = server.rest("GET", "/jobs").await;
    let job = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
    for (path, member) in [("savepoints", "target-directory"), ("stop", "targetDirectory")] {
        let body = json!({member: files.path().display().to_string()}).to_string();
        let path = format!("/jobs/{job}/{path}");
        let (status, refused) = call(&server.rest, "POST", &path, "", &body).await;
        assert_eq!(status, 403, "{refused}");
        assert!(refused.to_string().contains("allowed-directories"), "{refused}");
    }
    assert_eq!(std::fs::read_dir(files.path()).unwrap().count(), 0);
    let own = directory.path().join("savepoints").display().to_string();
    let body = json!({"target-directory": own}).to_string();
    let path = format!("/jobs/{job}/savepoints");
    let (status, accepted) = call(&server.rest, "POST", &path, "", &body).await;
    assert_eq!(
        status, 202,
        "the server's own directory of savepoints: {accepted}"
    );
}

fn encrypted(certificates: &Path, options: &[(&str, String)]) -> Arc<tls::TlsServer> {
    let mut all = Options::from([
        ("security.ssl.rest.enabled".to_owned(), "true".to_owned()),
        (
            "security.ssl.rest.keystore".to_owned(),
            certificates.display().to_string(),
        ),
    ]);
    all.extend(
        options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone())),
    );
    tls::open(&all, Arc::new(SystemClock)).unwrap().unwrap()
}

/// The certificate that the server shows, and its response.
async fn request_over_tls(server: &Server) -> (CertificateDer<'static>, String) {
    let mut roots = rustls::RootCertStore::empty();
    let authority = std::fs::read(data("authority.pem")).unwrap();
    roots
        .add(CertificateDer::from_pem_slice(&authority).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(server.rest.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let request = b"GET /config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = Vec::new();
    _ = stream.read_to_end(&mut response).await;
    (shown, String::from_utf8(response).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_encrypted_and_takes_over_new_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let certificates = directory.path().join("server.pem");
    std::fs::copy(data("broker.pem"), &certificates).unwrap();
    let extras = Extras {
        tls: Some(encrypted(&certificates, &[])),
        ..Extras::default()
    };
    let server = server_with(&directory, extras).await;
    let (first, response) = request_over_tls(&server).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let plain = exchange(&server.rest, b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    std::fs::copy(data("renewed.pem"), &certificates).unwrap();
    let mut shown = first.clone();
    for _ in 0..200 {
        (shown, _) = request_over_tls(&server).await;
        if shown != first {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_ne!(shown, first);
}

#[tokio::test]
async fn settings_of_tls_that_cannot_work_are_refused() {
    for (options, part) in [
        (
            json!({"security.ssl.rest.enabled": "true"}),
            "security.ssl.rest.keystore",
        ),
        (
            json!({"security.ssl.rest.enabled": "true", "security.ssl.rest.keystore": "/x/rest.jks"}),
            "store of Java",
        ),
        (
            json!({
                "security.ssl.rest.enabled": "true",
                "security.ssl.rest.keystore": data("broker.pem"),
                "security.ssl.rest.authentication-enabled": "true",
            }),
            "security.ssl.rest.truststore",
        ),
        (
            json!({"security.ssl.rest.enabled": "true", "security.ssl.rest.keystore": "/nowhere.pem"}),
            "cannot be used",
        ),
    ] {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let options: Options = options
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect();
        let error = tls::open(&options, Arc::new(SystemClock)).err().unwrap();
        assert!(error.to_string().contains(part), "{error}");
    }
}
