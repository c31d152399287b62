//! `millstream broker`: the broker alone, until Ctrl-C.

use crate::args::Common;
use crate::exit::Outcome;
use crate::process::Process;

/// Runs the broker.
pub fn run(process: &Process, common: &Common) -> Outcome {
    process.clusters.start_embedded()?;
    if !common.quiet {
        let address = process
            .clusters
            .embedded_address()
            .unwrap_or_else(|| common.kafka.clone());
        eprintln!(
            "broker listening on {address}, data in {}; Ctrl-C stops it",
            common.data_dir.display()
        );
    }
    process.runtime.block_on(wait_for_signal())?;
    if !common.quiet {
        eprintln!("stopping");
    }
    process.clusters.stop();
    Ok(())
}

/// Waits for Ctrl-C, or the signal of service managers.
async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}
