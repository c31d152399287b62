//! Where the HTTP doors listen, by Flink's own configuration keys.

use millstream_types::{OptionDecl, OptionType, Options};

const LOOPBACK: &str = "127.0.0.1";

/// Configuration keys that `millstream serve` reads beside those of sessions and jobs.
pub const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        "rest.port",
        OptionType::Int,
        "Port of the job REST API and the Web UI; 0 chooses a free port.",
    )
    .with_default("8081"),
    OptionDecl::new(
        "rest.bind-port",
        OptionType::String,
        "Port or port range (`8081-8090`) that the job REST API binds; takes precedence over rest.port.",
    ),
    OptionDecl::new(
        "rest.bind-address",
        OptionType::String,
        "Address that the job REST API binds.",
    )
    .with_default(LOOPBACK),
    OptionDecl::new(
        "rest.address",
        OptionType::String,
        "Address under which clients reach the job REST API.",
    ),
    OptionDecl::new(
        "sql-gateway.endpoint.rest.port",
        OptionType::Int,
        "Port of the SQL Gateway REST API; 0 chooses a free port.",
    )
    .with_default("8083"),
    OptionDecl::new(
        "sql-gateway.endpoint.rest.bind-port",
        OptionType::String,
        "Port or port range that the SQL Gateway binds; takes precedence over sql-gateway.endpoint.rest.port.",
    ),
    OptionDecl::new(
        "sql-gateway.endpoint.rest.bind-address",
        OptionType::String,
        "Address that the SQL Gateway binds.",
    )
    .with_default(LOOPBACK),
    OptionDecl::new(
        "sql-gateway.endpoint.rest.address",
        OptionType::String,
        "Address under which clients reach the SQL Gateway.",
    ),
    OptionDecl::new(
        "metrics.reporter.prom.port",
        OptionType::String,
        "Port or port range of the Prometheus endpoint.",
    )
    .with_default("9249"),
    OptionDecl::new(
        "metrics.reporter.prom.host",
        OptionType::String,
        "Address that the Prometheus endpoint binds.",
    )
    .with_default(LOOPBACK),
];

/// Why the configured addresses cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("'{key}' is '{value}'; write a port from 0 to 65535, or a range such as 8081-8090")]
    Port { key: &'static str, value: String },
}

/// An address to bind; the first free port of the range is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub first_port: u16,
    pub last_port: u16,
    /// The key that moves the endpoint elsewhere, for messages.
    pub port_key: &'static str,
}

/// Addresses of all HTTP doors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    pub rest: Endpoint,
    pub gateway: Endpoint,
    pub metrics: Endpoint,
}

impl HttpSettings {
    pub fn read(options: &Options) -> Result<Self, SettingsError> {
        let endpoint = |host_key, range_key, port_key, default| {
            endpoint(options, host_key, range_key, port_key, default)
        };
        Ok(Self {
            rest: endpoint("rest.bind-address", Some("rest.bind-port"), "rest.port", 8081)?,
            gateway: endpoint(
                "sql-gateway.endpoint.rest.bind-address",
                Some("sql-gateway.endpoint.rest.bind-port"),
                "sql-gateway.endpoint.rest.port",
                8083,
            )?,
            metrics: endpoint(
                "metrics.reporter.prom.host",
                None,
                "metrics.reporter.prom.port",
                9249,
            )?,
        })
    }
}

fn endpoint(
    options: &Options,
    host_key: &str,
    range_key: Option<&'static str>,
    port_key: &'static str,
    default: u16,
) -> Result<Endpoint, SettingsError> {
    let given = |key: &'static str| options.get(key).map(|value| (key, value.as_str()));
    let ports = match range_key.and_then(given).or_else(|| given(port_key)) {
        None => (default, default),
        Some((key, value)) => port_range(value).ok_or_else(|| SettingsError::Port {
            key,
            value: value.to_owned(),
        })?,
    };
    let host = options.get(host_key).map_or(LOOPBACK, String::as_str);
    Ok(Endpoint {
        host: host.to_owned(),
        first_port: ports.0,
        last_port: ports.1,
        port_key,
    })
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<HttpSettings, SettingsError> {
        let options = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        HttpSettings::read(&options)
    }

    #[test]
    fn defaults_are_those_of_flink_on_loopback() {
        let settings = read(&[]).expect("defaults are valid");
        assert_eq!(
            (settings.rest.host.as_str(), settings.rest.first_port),
            ("127.0.0.1", 8081)
        );
        assert_eq!(settings.gateway.first_port, 8083);
        assert_eq!(settings.metrics.first_port, 9249);
    }

    #[test]
    fn a_bind_range_goes_before_the_port() {
        let settings = read(&[("rest.port", "1"), ("rest.bind-port", "20-22")]).expect("a range");
        assert_eq!((settings.rest.first_port, settings.rest.last_port), (20, 22));
    }

    #[test]
    fn wrong_ports_name_their_key() {
        for value in ["x", "70000", "9-3", "-1", ""] {
            let error = read(&[("sql-gateway.endpoint.rest.port", value)]).expect_err(value);
            assert!(
                error.to_string().contains("sql-gateway.endpoint.rest.port"),
                "{error}"
            );
        }
    }
}
