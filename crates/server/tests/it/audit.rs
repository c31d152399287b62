//! What the log says about clients that are not let in.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::cluster::{Cluster, data};
use crate::raw::Raw;

/// The lines under the target `audit` of the thread that it is set for.
#[derive(Clone, Default)]
struct Audit(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Audit {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "audit"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn each_failed_authentication_is_one_line() {
    let audit = Audit::default();
    let _set = tracing::subscriber::set_default(audit.clone());
    let keystore = data("broker.pem");
    let cluster = Cluster::start(&[
        ("listeners", "SSL://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0"),
        ("ssl.keystore.location", &keystore),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("millstream.sasl.users", "alice:alice-secret"),
        ("connection.failed.authentication.delay.ms", "0"),
    ])
    .await;
    let of_listener = |listener: &str| {
        let counts = cluster.metrics.snapshot().authentications;
        counts.get(listener).map_or(0, |counts| counts.1)
    };
    let mut raw = Raw::connect(cluster.port("SASL_PLAINTEXT")).await;
    raw.handshake("PLAIN").await;
    raw.token("\0alice\0hunter2").await;
    assert!(raw.is_closed().await);
    let mut raw = Raw::connect(cluster.port("SASL_PLAINTEXT")).await;
    raw.handshake("GSSAPI").await;
    assert!(raw.is_closed().await);
    let mut raw = Raw::connect(cluster.port("SSL")).await;
    raw.send(b"GET / HTTP/1.1\r\n\r\n").await;
    while of_listener("SSL") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((of_listener("SASL_PLAINTEXT"), of_listener("SSL")), (2, 1));
    let lines = audit.0.lock().unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, listener, reason) in [
        (&lines[0], "SASL_PLAINTEXT", "alice"),
        (&lines[1], "SASL_PLAINTEXT", "GSSAPI"),
        (&lines[2], "SSL", ""),
    ] {
        assert!(
            line.contains("authentication failed")
                && line.contains(&format!("listener={listener} "))
                && line.contains("host=/127.0.0.1 ")
                && line.contains(reason),
            "{line}"
        );
        assert!(!line.contains("hunter2"), "{line}");
    }
}
