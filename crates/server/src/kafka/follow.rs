//! Applies alterations of administrators to the listeners at run time.
//!
//! Called on the broker's thread: nothing here waits, except for reading certificate files. An alteration that cannot
//! be applied is rejected when it is requested. If a file becomes unusable afterwards, the previous settings stay in
//! effect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_broker::config::Configs;
use millstream_broker::{ConfigObserver, IpRates, ObserverError};
use millstream_kafka_client::error::with_causes;

use super::config::{Altered, ShellConfig, ShellConfigError, TlsSettings};
use super::gate::Gate;
use super::listener::Serving;
use super::tls::TlsServer;

/// The listeners as the broker's follower.
pub(super) struct Listeners {
    config: ShellConfig,
    gate: Arc<Gate>,
    /// In the order of the configuration.
    all: Vec<Followed>,
}

/// The alterable part of one listener. Holding more would keep the broker alive through this observer.
struct Followed {
    name: String,
    tls: Option<Arc<TlsServer>>,
    /// The certificates applied last.
    stores: Mutex<BTreeMap<String, String>>,
}

impl Listeners {
    pub fn new(config: ShellConfig, gate: Arc<Gate>, all: &[Arc<Serving>]) -> Self {
        let followed = |serving: &Arc<Serving>| Followed {
            name: serving.name.clone(),
            tls: serving.tls.clone(),
            stores: Mutex::default(),
        };
        Self {
            config,
            gate,
            all: all.iter().map(followed).collect(),
        }
    }

    fn put_in_force(&self, altered: Altered) {
        self.gate.set_limits(altered.limits);
        for (followed, altered) in self.all.iter().zip(altered.listeners) {
            self.gate.set_listener_limits(&followed.name, altered.limits);
            if !followed.is_with(&altered.stores) {
                followed.configure(altered.tls);
                *followed.stores() = altered.stores;
            }
        }
    }
}

impl Followed {
    fn stores(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_with(&self, stores: &BTreeMap<String, String>) -> bool {
        *self.stores() == *stores
    }

    fn configure(&self, settings: Result<Option<TlsSettings>, ShellConfigError>) {
        let Some(tls) = &self.tls else {
            return;
        };
        let configured = match settings {
            Ok(Some(settings)) => tls.configure(settings).map_err(|error| with_causes(&error)),
            Ok(None) => return,
            Err(error) => Err(error.to_string()),
        };
        let listener = &self.name;
        match configured {
            Ok(()) => tracing::info!(target: "audit", %listener, "the listener has other certificates"),
            Err(error) => {
                tracing::error!(%listener, %error, "altered certificates cannot be used; the old ones stay in use");
            }
        }
    }
}

impl ConfigObserver for Listeners {
    fn check(&self, configs: &Configs, changed: &BTreeMap<String, String>) -> Result<(), ObserverError> {
        self.config.check_listeners(changed)?;
        let altered = self.config.alter(&configs.dynamic_broker())?;
        for (followed, altered) in self.all.iter().zip(altered.listeners) {
            if !followed.is_with(&altered.stores)
                && let Some(settings) = altered.tls?
            {
                TlsServer::check(&settings).map_err(|error| with_causes(&error))?;
            }
        }
        Ok(())
    }

    fn apply(&self, configs: &Configs) {
        match self.config.alter(&configs.dynamic_broker()) {
            Ok(altered) => self.put_in_force(altered),
            Err(error) => tracing::error!(%error, "altered configurations of listeners are not in force"),
        }
    }

    fn apply_ip_rates(&self, rates: &IpRates) {
        self.gate.set_ip_rates(rates);
    }
}
