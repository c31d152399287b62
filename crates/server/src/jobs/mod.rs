//! The jobs of the server: a durable store, their restart with the server, and one view of running and ended ones.

mod monitor;
mod programs;
mod store;
mod view;

pub use monitor::{record_jobs, resume_jobs, watch_jobs};
pub use programs::mirror_programs;
pub use store::{JobStore, JobStoreError, StoredDecision, StoredException, StoredJob};
pub use view::{JobView, VertexView, vertex_id};
