//! Object stores as a [`Storage`]: checkpoints and savepoints in S3, Google Cloud Storage and Azure Blob Storage.
//!
//! Objects are written whole ([`Storage::publish`]) and read in windows. There are no directories, so that making and
//! syncing one does nothing, and no locks: a [`Storage`] of this crate [is shared](Storage::is_shared), and who owns what
//! in it is the business of its users. Requests run on threads of this crate, since the callers are not asynchronous.

mod http;
mod location;
mod runtime;
mod storage;

use std::sync::Arc;

use millstream_types::storage::Storage;
use millstream_types::{OptionDecl, OptionType, Options};

pub use location::{LocationError, is_object_store};

/// Options of object stores, by Flink's names. What is not set comes from the environment, as the stores' own tools
/// read it (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY`, …).
pub const OPTIONS: &[OptionDecl] = &[
    OptionDecl::new(
        location::S3_ENDPOINT,
        OptionType::String,
        "Address of the S3 service, if it is not Amazon's.",
    ),
    OptionDecl::new(location::S3_REGION, OptionType::String, "Region of the bucket."),
    OptionDecl::new(location::S3_ACCESS_KEY, OptionType::String, "Access key for S3."),
    OptionDecl::new(location::S3_SECRET_KEY, OptionType::String, "Secret key for S3."),
    OptionDecl::new(
        location::S3_PATH_STYLE,
        OptionType::Boolean,
        "Whether the bucket is a part of the path instead of the host name; most S3 services that are not Amazon's need it.",
    )
    .with_default("false"),
];

/// Opens the directory that a URL such as `s3://bucket/path` names. Nothing is read yet.
pub fn open(location: &str, options: &Options) -> Result<Arc<dyn Storage>, LocationError> {
    let (store, root) = location::parse(location, options)?;
    Ok(Arc::new(storage::ObjectStorage::new(store, root)))
}
