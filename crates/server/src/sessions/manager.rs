//! All sessions of the server: opening, finding, and closing idle ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_types::Options;
use millstream_types::options::parse_duration;

use super::error::OperationError;
use super::session::GatewaySession;
use crate::access::{Caller, random_bytes};
use crate::limits::SESSIONS_MAX;
use crate::state::ServerState;

/// Idle time after which a session is closed, unless `sql-gateway.session.idle-timeout` says otherwise: Flink's.
const IDLE_TIMEOUT_MS_DEFAULT: i64 = 10 * 60 * 1_000;

/// Limits of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// `sql-gateway.session.idle-timeout`; 0: never.
    pub idle_timeout_ms: i64,
    /// `sql-gateway.session.max-num`.
    pub sessions_max: usize,
}

impl SessionSettings {
    /// Values that cannot be read leave the default.
    pub fn read(options: &Options) -> Self {
        let idle = options
            .get("sql-gateway.session.idle-timeout")
            .and_then(|text| parse_duration(text));
        let sessions = options
            .get("sql-gateway.session.max-num")
            .and_then(|text| text.trim().parse().ok());
        Self {
            idle_timeout_ms: idle.map_or(IDLE_TIMEOUT_MS_DEFAULT, |idle| {
                i64::try_from(idle.as_millis()).unwrap_or(i64::MAX)
            }),
            sessions_max: sessions.unwrap_or(SESSIONS_MAX).min(SESSIONS_MAX),
        }
    }
}

/// The open sessions, by handle.
pub struct SessionManager {
    settings: SessionSettings,
    sessions: Mutex<BTreeMap<String, Arc<GatewaySession>>>,
}

impl SessionManager {
    pub fn new(settings: SessionSettings) -> Self {
        Self {
            settings,
            sessions: Mutex::default(),
        }
    }

    /// Opens a session; `properties` go before the server's defaults.
    pub fn open(
        &self,
        state: &ServerState,
        name: Option<String>,
        properties: &Options,
        caller: &Caller,
    ) -> Result<Arc<GatewaySession>, OperationError> {
        let session = state.session(properties, caller)?;
        let handle = uuid()?;
        let opened = Arc::new(GatewaySession::new(handle.clone(), name, session, state.now_ms()));
        let mut sessions = self.lock();
        if sessions.len() >= self.settings.sessions_max {
            return Err(OperationError::too_many_sessions(self.settings.sessions_max));
        }
        sessions.insert(handle, Arc::clone(&opened));
        Ok(opened)
    }

    /// The session of a handle; it counts as used now.
    pub fn get(&self, handle: &str, now_ms: i64) -> Result<Arc<GatewaySession>, OperationError> {
        let session = self.lock().get(handle).cloned();
        let session = session.ok_or_else(|| OperationError::no_session(handle))?;
        session.touch(now_ms);
        Ok(session)
    }

    /// Closes a session with all its operations.
    pub fn close(&self, handle: &str) -> Result<(), OperationError> {
        let session = self.lock().remove(handle);
        session.ok_or_else(|| OperationError::no_session(handle))?.close();
        Ok(())
    }

    /// Closes the sessions that were idle for too long.
    pub fn expire(&self, now_ms: i64) {
        if self.settings.idle_timeout_ms <= 0 {
            return;
        }
        let is_idle = |session: &GatewaySession| {
            now_ms.saturating_sub(session.last_used_ms()) >= self.settings.idle_timeout_ms
                && !session.is_busy()
        };
        let idle: Vec<Arc<GatewaySession>> = {
            let mut sessions = self.lock();
            let handles: Vec<String> = sessions
                .iter()
                .filter(|(_, session)| is_idle(session))
                .map(|(handle, _)| handle.clone())
                .collect();
            handles
                .iter()
                .filter_map(|handle| sessions.remove(handle))
                .collect()
        };
        for session in idle {
            tracing::info!(session = session.handle(), "closing an idle session");
            session.close();
        }
    }

    /// All open sessions, by handle.
    pub fn list(&self) -> Vec<Arc<GatewaySession>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<GatewaySession>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A random UUID (version 4), the form of Flink's handles. A handle is the right to use its session.
pub fn uuid() -> Result<String, OperationError> {
    let bytes: [u8; 16] = random_bytes().map_err(|error| OperationError::internal(error.to_string()))?;
    let (high, low) = bytes.split_at(8);
    let number = |half: &[u8]| {
        half.iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let high = (number(high) & !0xF000) | 0x4000;
    let low = (number(low) & !(0b11 << 62)) | (0b10 << 62);
    Ok(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    ))
}
