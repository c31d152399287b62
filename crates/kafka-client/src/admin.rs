//! Administration: topics, configurations, offsets, groups, access, users, quotas. All functions are methods of
//! [`KafkaClient`](crate::KafkaClient), one file for each subject.

mod acls;
mod configs;
mod groups;
mod members;
mod offsets;
mod quotas;
mod topics;
mod transactions;
mod users;

pub use acls::{AclBinding, AclFilter, AclOperation, AclPattern, AclPermission, AclResource};
pub use configs::{ConfigChange, ConfigEntry, ConfigResource};
pub use groups::{CommittedOffset, GroupDescription, GroupListing, GroupMember};
pub use members::{ConsumerGroup, ConsumerMember};
pub use offsets::{ListedOffset, OffsetSpec};
pub use quotas::{ClientQuota, QuotaEntity, QuotaMatch};
pub use topics::NewTopic;
pub use transactions::TransactionListing;
pub use users::{ScramCredential, scram_salt};
