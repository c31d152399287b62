//! STREAMING or BATCH.

use millstream_types::Options;

use crate::error::{Error, Result};
use crate::graph::{Nodes, unbounded_source};

/// How a program is executed (`execution.runtime-mode`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RuntimeExecutionMode {
    /// Records are processed as they come, and results grow with them.
    #[default]
    Streaming,
    /// All input is bounded: operators by key see their whole input grouped by key and sorted by time, event time moves
    /// when the input has ended, and there are no checkpoints.
    Batch,
    /// BATCH if all sources are bounded, else STREAMING.
    Automatic,
}

pub(crate) const RUNTIME_MODE: &str = "execution.runtime-mode";

impl RuntimeExecutionMode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Streaming => "STREAMING",
            Self::Batch => "BATCH",
            Self::Automatic => "AUTOMATIC",
        }
    }

    pub(crate) fn read(configuration: &Options) -> Result<Self> {
        let Some(set) = configuration.get(RUNTIME_MODE) else {
            return Ok(Self::default());
        };
        let modes = [Self::Streaming, Self::Batch, Self::Automatic];
        let mode = modes
            .into_iter()
            .find(|mode| set.eq_ignore_ascii_case(mode.name()));
        mode.ok_or_else(|| {
            Error::input(format!(
                "invalid value '{set}' for option '{RUNTIME_MODE}': expected STREAMING, BATCH or AUTOMATIC"
            ))
        })
    }

    pub(crate) fn is_batch(self, nodes: &Nodes) -> Result<bool> {
        let unbounded = unbounded_source(nodes);
        match (self, unbounded) {
            (Self::Streaming, _) => Ok(false),
            (Self::Automatic, _) => Ok(unbounded.is_none()),
            (Self::Batch, None) => Ok(true),
            (Self::Batch, Some(source)) => Err(Error::input(format!(
                "Detected an UNBOUNDED source with the '{RUNTIME_MODE}' set to 'BATCH': '{source}'. This combination is \
                 not allowed, please set the '{RUNTIME_MODE}' to STREAMING or AUTOMATIC"
            ))),
        }
    }
}
