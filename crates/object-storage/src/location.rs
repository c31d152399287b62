//! URLs of object stores, and the clients for them.

use std::sync::Arc;
use std::time::Duration;

use millstream_types::Options;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use crate::http::Connector;

pub(crate) const S3_ENDPOINT: &str = "s3.endpoint";
pub(crate) const S3_REGION: &str = "s3.region";
pub(crate) const S3_ACCESS_KEY: &str = "s3.access-key";
pub(crate) const S3_SECRET_KEY: &str = "s3.secret-key";
pub(crate) const S3_PATH_STYLE: &str = "s3.path.style.access";

/// How long a request is repeated. A checkpoint that cannot be written by then has failed, and the next one tries again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
/// Repetitions of a request to an object store.
const RETRIES_MAX: usize = 5;

/// Why a location cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    #[error(
        "'{location}' has the scheme '{scheme}', which is not supported; name a local directory, or one below s3://, \
         s3a://, gs://, abfs:// or abfss://"
    )]
    Scheme { location: String, scheme: String },
    #[error("'{location}' names no bucket or container")]
    Bucket { location: String },
    #[error("invalid value '{value}' for option '{key}': expected {expected}")]
    Setting {
        key: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("the object store of '{location}' cannot be used")]
    Store {
        location: String,
        #[source]
        source: object_store::Error,
    },
}

/// Whether the location is the URL of something else than a local file.
pub fn is_object_store(location: &str) -> bool {
    location.contains("://") && !location.starts_with("file:")
}

/// The client for a location, and the path within its bucket.
pub(crate) fn parse(
    location: &str,
    options: &Options,
) -> Result<(Arc<dyn ObjectStore>, Path), LocationError> {
    let (scheme, rest) = location.split_once("://").unwrap_or(("", location));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.is_empty() {
        return Err(LocationError::Bucket {
            location: location.to_owned(),
        });
    }
    let failed = |source: object_store::Error| LocationError::Store {
        location: location.to_owned(),
        source,
    };
    let root = Path::parse(path).map_err(|source| failed(source.into()))?;
    let store: Arc<dyn ObjectStore> = match scheme {
        // Flink's names for the same store, by the file system that it uses for it.
        "s3" | "s3a" | "s3p" => Arc::new(s3(authority, options)?.build().map_err(failed)?),
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(authority);
            let builder = builder.with_retry(retries()).with_http_connector(Connector);
            Arc::new(builder.build().map_err(failed)?)
        }
        "abfs" | "abfss" | "az" | "azure" => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(format!("{scheme}://{authority}"));
            let builder = builder.with_retry(retries()).with_http_connector(Connector);
            Arc::new(builder.build().map_err(failed)?)
        }
        _ => {
            return Err(LocationError::Scheme {
                location: location.to_owned(),
                scheme: scheme.to_owned(),
            });
        }
    };
    Ok((store, root))
}

fn s3(bucket: &str, options: &Options) -> Result<AmazonS3Builder, LocationError> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retries())
        .with_http_connector(Connector);
    let named = [
        (S3_REGION, AmazonS3ConfigKey::Region),
        (S3_ACCESS_KEY, AmazonS3ConfigKey::AccessKeyId),
        (S3_SECRET_KEY, AmazonS3ConfigKey::SecretAccessKey),
    ];
    for (key, setting) in named {
        if let Some(value) = options.get(key) {
            builder = builder.with_config(setting, value);
        }
    }
    if let Some(endpoint) = options.get(S3_ENDPOINT) {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(value) = options.get(S3_PATH_STYLE) {
        let is_path = value.parse::<bool>().map_err(|_| LocationError::Setting {
            key: S3_PATH_STYLE,
            value: value.clone(),
            expected: "true or false",
        })?;
        builder = builder.with_virtual_hosted_style_request(!is_path);
    }
    Ok(builder)
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(location: &str, options: &[(&str, &str)]) -> Result<Path, LocationError> {
        let options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        parse(location, &options).map(|(_, root)| root)
    }

    #[test]
    fn locations_name_a_bucket_and_a_path() {
        let root = |location: &str| {
            open(location, &[("s3.region", "eu-west-1")])
                .expect(location)
                .to_string()
        };
        assert_eq!(root("s3://bucket/a/b"), "a/b");
        assert_eq!(root("s3a://bucket"), "");
        for (location, options, reason) in [
            ("hdfs://host/a", &[][..], "scheme 'hdfs'"),
            ("s3:///a", &[], "no bucket"),
            (
                "s3://bucket/a",
                &[("s3.path.style.access", "maybe")],
                "s3.path.style.access",
            ),
        ] {
            let error = open(location, options).expect_err(location).to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(!is_object_store("file:///a") && !is_object_store("/a") && is_object_store("s3://b"));
    }
}
