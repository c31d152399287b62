//! `millstream broker`: the broker alone, until Ctrl-C.

use millstream_server::metrics::MetricsSettings;

use crate::args::{BrokerArgs, Common};
use crate::exit::Outcome;
use crate::process::Process;

pub fn run(process: &Process, common: &Common, args: BrokerArgs) -> Outcome {
    process.clusters.start_embedded()?;
    let settings = args.metrics.map(|address| MetricsSettings {
        address,
        token_file: args.metrics_token_file,
    });
    let metrics = match &settings {
        Some(settings) => process.clusters.open_metrics(settings)?,
        None => None,
    };
    if !common.quiet {
        let listeners = process.clusters.embedded_listeners();
        let names_matter = listeners.len() > 1;
        let addresses = listeners.iter().map(|listener| {
            if names_matter {
                format!("{}://{}", listener.name, listener.address)
            } else {
                listener.address.to_string()
            }
        });
        eprintln!(
            "broker listening on {}, data in {}; Ctrl-C stops it",
            addresses.collect::<Vec<_>>().join(" "),
            common.data_dir.display()
        );
        if let Some(endpoint) = &metrics {
            eprintln!("metrics on http://{}/metrics", endpoint.address());
        }
    }
    process.runtime.block_on(wait_for_signal())?;
    if !common.quiet {
        eprintln!("stopping");
    }
    Ok(())
}

/// Waits for Ctrl-C, or the signal of service managers.
pub async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}
