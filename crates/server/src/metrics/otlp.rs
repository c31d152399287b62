//! Export by OpenTelemetry's protocol (OTLP over HTTP, in JSON): the metrics of jobs, operators and the process, and a span
//! for each checkpoint. Keys, names and attributes are those of Flink's OpenTelemetry reporter; nothing is sent unless an
//! endpoint is configured. The numbers of the broker are on the page for Prometheus only.
//!
//! What cannot be delivered is dropped, as in Flink: the next export has newer values. Spans of ended checkpoints are sent
//! again until a collector has taken them, as long as the job remembers the checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_kafka_client::error::TransportError;
use millstream_session::CheckpointStatus;
use millstream_types::options::parse_duration;
use millstream_types::{OptionDecl, OptionType, Options};
use serde_json::{Value, json};

use self::endpoint::{Endpoint, ExportError};
use super::families::{Family, job_families};
use crate::jobs::JobView;
use crate::limits::OTLP_INTERVAL;
use crate::state::ServerState;

mod endpoint;

const METRICS_ENDPOINT: &str = "metrics.reporter.otel.exporter.endpoint";
const METRICS_PROTOCOL: &str = "metrics.reporter.otel.exporter.protocol";
const METRICS_INTERVAL: &str = "metrics.reporter.otel.interval";
const SERVICE_NAME: &str = "metrics.reporter.otel.service.name";
const SERVICE_VERSION: &str = "metrics.reporter.otel.service.version";
const TRACES_ENDPOINT: &str = "traces.reporter.otel.exporter.endpoint";
const TRACES_PROTOCOL: &str = "traces.reporter.otel.exporter.protocol";
const TRUSTSTORE: &str = "millstream.otel.truststore";
const NS_PER_MS: i64 = 1_000_000;

/// Configuration keys of the export.
pub const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        METRICS_ENDPOINT,
        OptionType::String,
        "URL of an OpenTelemetry collector for metrics, as http://127.0.0.1:4318 or https://collector:4318. Nothing is exported without it.",
    ),
    OptionDecl::new(
        METRICS_PROTOCOL,
        OptionType::Enum(&["HTTP"]),
        "Protocol of the metrics' collector; gRPC is not supported.",
    )
    .with_default("HTTP"),
    OptionDecl::new(
        METRICS_INTERVAL,
        OptionType::Duration,
        "Interval of exports, also of traces.",
    )
    .with_default("10 s"),
    OptionDecl::new(
        SERVICE_NAME,
        OptionType::String,
        "Name of the service in exported metrics and traces.",
    )
    .with_default("millstream"),
    OptionDecl::new(
        SERVICE_VERSION,
        OptionType::String,
        "Version of the service in exported metrics and traces. The default is that of Millstream.",
    ),
    OptionDecl::new(
        TRACES_ENDPOINT,
        OptionType::String,
        "URL of an OpenTelemetry collector for spans of checkpoints.",
    ),
    OptionDecl::new(
        TRACES_PROTOCOL,
        OptionType::Enum(&["HTTP"]),
        "Protocol of the traces' collector; gRPC is not supported.",
    )
    .with_default("HTTP"),
    OptionDecl::new(
        TRUSTSTORE,
        OptionType::String,
        "PEM file with the authorities of the certificates of collectors with https URLs. The default is those of the system.",
    ),
];

/// Why the export cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error(
        "'{key}' is '{value}'; write http://HOST:PORT or https://HOST:PORT, the address where a collector takes OTLP over HTTP"
    )]
    Endpoint { key: &'static str, value: String },
    #[error(
        "'{key}' is '{value}', which is not supported; set it to HTTP, and '{endpoint}' to the address where the collector \
         takes OTLP over HTTP, usually port 4318"
    )]
    Protocol {
        key: &'static str,
        endpoint: &'static str,
        value: String,
    },
    #[error(
        "'{key}' is an https URL, but the authorities to trust cannot be read; '{TRUSTSTORE}' names a PEM file with them"
    )]
    Trust {
        key: &'static str,
        #[source]
        source: TransportError,
    },
    #[error("'{METRICS_INTERVAL}' is '{value}'; write a duration such as '10 s'")]
    Interval { value: String },
}

/// Where and how often to export.
#[derive(Clone)]
pub struct OtlpSettings {
    metrics: Option<Endpoint>,
    traces: Option<Endpoint>,
    interval: Duration,
    service: (String, String),
}

impl OtlpSettings {
    /// `None`: nothing is exported.
    pub fn read(options: &Options) -> Result<Option<Self>, OtlpError> {
        let metrics = Endpoint::read(options, METRICS_ENDPOINT, METRICS_PROTOCOL, "/v1/metrics")?;
        let traces = Endpoint::read(options, TRACES_ENDPOINT, TRACES_PROTOCOL, "/v1/traces")?;
        if metrics.is_none() && traces.is_none() {
            return Ok(None);
        }
        let interval = match options.get(METRICS_INTERVAL) {
            None => OTLP_INTERVAL,
            Some(value) => parse_duration(value)
                .filter(|interval| !interval.is_zero())
                .ok_or_else(|| OtlpError::Interval { value: value.clone() })?,
        };
        let given = |key: &str, default: &str| options.get(key).map_or(default, String::as_str).to_owned();
        Ok(Some(Self {
            metrics,
            traces,
            interval,
            service: (
                given(SERVICE_NAME, "millstream"),
                given(SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
            ),
        }))
    }
}

/// Exports until the task is dropped.
pub async fn export(state: Arc<ServerState>, settings: OtlpSettings) {
    let mut ticks = tokio::time::interval(settings.interval);
    let mut spans = SentSpans::default();
    let (mut metrics_fail, mut traces_fail) = (false, false);
    loop {
        ticks.tick().await;
        if let Some(endpoint) = &settings.metrics {
            let body = metrics_body(&job_families(&state), &settings.service, state.now_ms());
            report(endpoint, endpoint.send(&body).await, &mut metrics_fail);
        }
        if let Some(endpoint) = &settings.traces {
            let jobs = state.job_views();
            let ended = spans.unsent(&jobs);
            if ended.is_empty() {
                continue;
            }
            let sent = endpoint.send(&traces_body(&ended, &settings.service)).await;
            if sent.is_ok() {
                spans.sent(&ended);
            }
            report(endpoint, sent, &mut traces_fail);
        }
    }
}

/// Logs the first of several failures, and the end of them.
fn report(endpoint: &Endpoint, sent: Result<(), ExportError>, fails: &mut bool) {
    let to = &endpoint.authority;
    match &sent {
        Err(error) if !*fails => {
            tracing::warn!("cannot export to the collector at {to}{}: {error}", endpoint.path);
        }
        Ok(()) if *fails => tracing::warn!("the collector at {to}{} takes exports again", endpoint.path),
        _ => {}
    }
    *fails = sent.is_err();
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number(key: &str, value: u64) -> Value {
    // 64-bit integers are texts in the JSON of protocol buffers.
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn nanoseconds(ms: i64) -> String {
    ms.saturating_mul(NS_PER_MS).to_string()
}

fn resource((name, version): &(String, String)) -> Value {
    json!({"attributes": [attribute("service.name", name), attribute("service.version", version)]})
}

fn scope() -> Value {
    json!({"name": "millstream", "version": env!("CARGO_PKG_VERSION")})
}

fn metrics_body(families: &[Family], service: &(String, String), now_ms: i64) -> Value {
    let metric = |family: &Family| {
        let points: Vec<Value> = family
            .samples
            .iter()
            .map(|(labels, value)| {
                let attributes: Vec<Value> =
                    labels.iter().map(|(key, value)| attribute(key, value)).collect();
                json!({"attributes": attributes, "timeUnixNano": nanoseconds(now_ms), "asDouble": value})
            })
            .collect();
        json!({"name": format!("flink.{}.{}", family.scope.replace('_', "."), family.name), "gauge": {"dataPoints": points}})
    };
    let metrics: Vec<Value> = families.iter().map(metric).collect();
    json!({"resourceMetrics": [{
        "resource": resource(service),
        "scopeMetrics": [{"scope": scope(), "metrics": metrics}],
    }]})
}

/// A checkpoint that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ended {
    job: String,
    job_name: String,
    id: u64,
    from_ms: i64,
    to_ms: i64,
    sizes: (u64, u64),
    /// Why it failed.
    failure: Option<String>,
}

/// The newest checkpoint of each job whose span was sent.
#[derive(Default)]
struct SentSpans(BTreeMap<String, u64>);

impl SentSpans {
    /// Checkpoints that have ended, in order and without gaps: one behind a running one waits for it.
    fn unsent(&mut self, jobs: &[JobView]) -> Vec<Ended> {
        self.0.retain(|id, _| jobs.iter().any(|job| job.id == *id));
        let mut ended = Vec::new();
        for job in jobs {
            let sent = self.0.get(&job.id).copied().unwrap_or(0);
            for record in job.checkpoints.history.iter().filter(|record| record.id > sent) {
                let Some(to_ms) = record.ended_ms else { break };
                let is_failed = record.status == CheckpointStatus::Failed;
                ended.push(Ended {
                    job: job.id.clone(),
                    job_name: job.name.clone(),
                    id: record.id,
                    from_ms: record.triggered_ms,
                    to_ms,
                    sizes: (record.written_bytes, record.full_bytes),
                    failure: is_failed.then(|| record.failure.clone().unwrap_or_default()),
                });
            }
        }
        ended
    }

    fn sent(&mut self, ended: &[Ended]) {
        for span in ended {
            let newest = self.0.entry(span.job.clone()).or_default();
            *newest = span.id.max(*newest);
        }
    }
}

fn traces_body(ended: &[Ended], service: &(String, String)) -> Value {
    let span = |span: &Ended| {
        let (written, full) = span.sizes;
        let status = if span.failure.is_some() {
            "FAILED"
        } else {
            "COMPLETED"
        };
        let mut value = json!({
            // The beginning of the job's id and the checkpoint's number: the same span has the same id if it is sent again.
            "traceId": format!("{}{:016x}", span.job.get(..16).unwrap_or("0000000000000001"), span.id),
            "spanId": format!("{:016x}", span.id),
            "name": "Checkpoint",
            "kind": 1,
            "startTimeUnixNano": nanoseconds(span.from_ms),
            "endTimeUnixNano": nanoseconds(span.to_ms),
            "attributes": [
                attribute("jobId", &span.job), attribute("jobName", &span.job_name),
                number("checkpointId", span.id), number("checkpointedSize", written), number("fullSize", full),
                attribute("checkpointStatus", status), attribute("isUnaligned", "false"),
            ],
        });
        if let Some(failure) = &span.failure {
            value["status"] = json!({"code": 2, "message": failure});
        }
        value
    };
    let spans: Vec<Value> = ended.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": resource(service),
        "scopeSpans": [{"scope": scope(), "spans": spans}],
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<OtlpSettings>, OtlpError> {
        let options = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        OtlpSettings::read(&options.collect())
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        read(pairs).err().expect("it is refused").to_string()
    }

    #[test]
    fn settings_are_read_or_refused_with_the_remedy() {
        assert!(read(&[]).expect("nothing is wrong").is_none());
        let both = read(&[
            (METRICS_ENDPOINT, "http://127.0.0.1:4318"),
            (TRACES_ENDPOINT, "http://[::1]:4318/otlp/v1/traces"),
            (METRICS_INTERVAL, "2 s"),
        ]);
        let both = both.expect("they are right").expect("something is exported");
        assert_eq!(both.metrics.expect("an endpoint").path, "/v1/metrics");
        let traces = both.traces.expect("an endpoint");
        assert_eq!(
            (traces.authority.as_str(), traces.path.as_str()),
            ("[::1]:4318", "/otlp/v1/traces")
        );
        assert_eq!(both.interval, Duration::from_secs(2));
        for endpoint in [
            "127.0.0.1:4318",
            "ftp://collector:4318",
            "http://collector",
            "https://a b:4318",
        ] {
            let error = refusal(&[(METRICS_ENDPOINT, endpoint)]);
            assert!(
                error.contains(endpoint) && error.contains("http://HOST:PORT"),
                "{error}"
            );
        }
        let endpoint = (METRICS_ENDPOINT, "http://127.0.0.1:4317");
        let error = refusal(&[endpoint, (METRICS_PROTOCOL, "gRPC")]);
        assert!(
            error.contains("'gRPC', which is not supported; set it to HTTP")
                && error.contains(METRICS_ENDPOINT),
            "{error}"
        );
        refusal(&[endpoint, (METRICS_INTERVAL, "soon")]);
        let secure = (METRICS_ENDPOINT, "https://127.0.0.1:4318");
        let error = refusal(&[secure, (TRUSTSTORE, "/nowhere.pem")]);
        assert!(error.contains(TRUSTSTORE), "{error}");
    }

    #[test]
    fn metrics_have_the_names_of_flinks_reporter() {
        let family = Family {
            scope: "jobmanager_job",
            name: "numRestarts".to_owned(),
            samples: vec![(vec![("job_name", "orders".to_owned())], 2.0)],
        };
        let body = metrics_body(&[family], &("shop".to_owned(), "1".to_owned()), 1_500);
        let resource = &body["resourceMetrics"][0];
        assert_eq!(
            resource["resource"]["attributes"][0],
            attribute("service.name", "shop")
        );
        let metric = &resource["scopeMetrics"][0]["metrics"][0];
        assert_eq!(metric["name"], "flink.jobmanager.job.numRestarts");
        let point = &metric["gauge"]["dataPoints"][0];
        assert_eq!(point["timeUnixNano"], "1500000000");
        assert_eq!(
            (&point["asDouble"], &point["attributes"][0]),
            (&json!(2.0), &attribute("job_name", "orders"))
        );
    }

    #[test]
    fn a_checkpoint_is_a_span() {
        let ended = Ended {
            job: "0123456789abcdef0123456789abcdef".to_owned(),
            job_name: "orders".to_owned(),
            id: 7,
            from_ms: 1_000,
            to_ms: 1_040,
            sizes: (10, 20),
            failure: Some("a full disk".to_owned()),
        };
        let mut sent = SentSpans::default();
        sent.sent(std::slice::from_ref(&ended));
        assert_eq!(sent.0.get(&ended.job), Some(&7));
        let body = traces_body(&[ended], &("shop".to_owned(), "1".to_owned()));
        let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "0123456789abcdef0000000000000007");
        assert_eq!(
            (&span["startTimeUnixNano"], &span["endTimeUnixNano"]),
            (&json!("1000000000"), &json!("1040000000"))
        );
        assert_eq!(span["status"], json!({"code": 2, "message": "a full disk"}));
        assert!(
            span["attributes"]
                .as_array()
                .expect("a list")
                .contains(&number("checkpointId", 7))
        );
    }
}
