//! Plan to running job: workers, checkpoints, restarts, the job store.
