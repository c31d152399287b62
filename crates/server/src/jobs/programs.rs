//! Jobs of programs that run in the server's data directory, each in a process of its own.

use std::sync::{Arc, Mutex, PoisonError};

use millstream_session::programs::{Mirrors, PROGRAMS_DIRECTORY};
use millstream_types::storage::OsStorage;

use crate::limits::JOB_WATCH_INTERVAL;
use crate::state::ServerState;

/// Shows the jobs of programs among the server's own, until the task is aborted.
pub async fn mirror_programs(state: Arc<ServerState>) {
    let directory = state.data_dir().join(PROGRAMS_DIRECTORY);
    let storage = match OsStorage::open(&directory) {
        Ok(storage) => storage,
        Err(error) => {
            let directory = directory.display();
            tracing::warn!(%directory, %error, "jobs of programs are not shown");
            return;
        }
    };
    let mirrors = Mirrors::new(Arc::new(storage), state.jobs().clone());
    let mirrors = Arc::new(Mutex::new(mirrors));
    let mut ticks = tokio::time::interval(JOB_WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (mirrors, state) = (Arc::clone(&mirrors), Arc::clone(&state));
        let look = move || {
            let mut mirrors = mirrors.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = mirrors.look(state.now_ms()) {
                tracing::warn!(%error, "a request to a program was not written");
            }
        };
        _ = tokio::task::spawn_blocking(look).await;
    }
}
