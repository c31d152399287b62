//! [`ConfigObserver`]: lets the process react to altered configurations and quotas.
//!
//! Listeners, certificates and connection limits live outside of the broker, which knows no sockets.

use crate::config::Configs;
use crate::security::quotas::IpRates;
use std::collections::BTreeMap;

/// Why configurations cannot be applied: an error of the process around the broker.
pub type ObserverError = Box<dyn std::error::Error + Send + Sync>;

/// Applies altered configurations outside of the broker. Runs on the broker's thread, so no call may block.
pub trait ConfigObserver: Send {
    /// Checks whether broker configurations can be applied; `changed` are the new values. The error goes to the administrator
    /// as the reason for the rejection.
    fn check(&self, configs: &Configs, changed: &BTreeMap<String, String>) -> Result<(), ObserverError>;

    /// Applies broker configurations. They may fail although [`ConfigObserver::check`] accepted them: a certificate file may
    /// have been deleted since.
    fn apply(&self, configs: &Configs);

    /// Applies connection-rate limits by client address.
    fn apply_ip_rates(&self, rates: &IpRates);
}
