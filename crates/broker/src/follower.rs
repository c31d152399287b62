//! What outside of the broker depends on its configurations and quotas: the listeners, of which the broker knows nothing.

use crate::config::Configs;
use crate::security::quotas::IpRates;
use std::collections::BTreeMap;

/// Follows what administrators change. It is called on the broker's thread, so it must not wait for anything.
pub trait Follower: Send {
    /// Whether configurations of the broker can be put in force, of which these are set anew; the error says why not, to
    /// who wants to change them.
    fn check(&self, configs: &Configs, changed: &BTreeMap<String, String>) -> Result<(), String>;

    /// Puts configurations in force. They may not have been checked: a file may have gone since.
    fn follow(&self, configs: &Configs);

    /// Puts limits of new connections by address in force.
    fn follow_ip_rates(&self, rates: &IpRates);
}
