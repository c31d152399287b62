//! Administration: topics, configurations, offsets, groups. All functions are methods of
//! [`KafkaClient`](crate::KafkaClient), one file for each subject.

mod configs;
mod groups;
mod offsets;
mod topics;
mod transactions;

pub use configs::{ConfigChange, ConfigEntry, ConfigResource};
pub use groups::{CommittedOffset, GroupDescription, GroupListing, GroupMember};
pub use offsets::{ListedOffset, OffsetSpec};
pub use topics::NewTopic;
pub use transactions::TransactionListing;
