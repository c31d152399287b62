//! Restart strategies: whether and when a failed job restarts. Pure: time and randomness are parameters.

use std::collections::VecDeque;

use millstream_types::Rng;

use crate::settings::RestartSettings;

/// The failure history of one job.
#[derive(Debug)]
pub struct RestartStrategy {
    settings: RestartSettings,
    restarts: u32,
    failures_ms: VecDeque<i64>,
    backoff_ms: f64,
    last_restart_ms: i64,
}

impl RestartStrategy {
    pub fn new(settings: RestartSettings) -> Self {
        Self {
            settings,
            restarts: 0,
            failures_ms: VecDeque::new(),
            backoff_ms: 0.0,
            last_restart_ms: i64::MIN,
        }
    }

    /// Records a failure. Returns the milliseconds until the restart, or `None` if the job must not restart.
    pub fn failed(&mut self, now_ms: i64, rng: &dyn Rng) -> Option<i64> {
        let delay_ms = match self.settings.clone() {
            RestartSettings::None => None,
            RestartSettings::FixedDelay { attempts, delay_ms } => {
                (self.restarts < attempts).then_some(delay_ms)
            }
            RestartSettings::FailureRate {
                delay_ms,
                interval_ms,
                max_failures,
            } => {
                self.failures_ms.push_back(now_ms);
                self.failures_ms
                    .retain(|at| now_ms.saturating_sub(*at) < interval_ms);
                (self.failures_ms.len() <= max_failures as usize).then_some(delay_ms)
            }
            RestartSettings::ExponentialDelay {
                initial_ms,
                max_ms,
                multiplier,
                jitter,
                reset_ms,
                attempts,
            } => {
                let ran_well = now_ms.saturating_sub(self.last_restart_ms) >= reset_ms;
                if self.restarts == 0 || ran_well {
                    self.restarts = 0;
                    self.backoff_ms = initial_ms as f64;
                } else {
                    self.backoff_ms = (self.backoff_ms * multiplier).min(max_ms as f64);
                }
                let factor = 1.0 + jitter * (2.0 * rng.unit_f64() - 1.0);
                let delay_ms = ((self.backoff_ms * factor) as i64).clamp(0, max_ms);
                attempts
                    .is_none_or(|attempts| self.restarts < attempts)
                    .then_some(delay_ms)
            }
        };
        if let Some(delay_ms) = delay_ms {
            self.restarts += 1;
            self.last_restart_ms = now_ms.saturating_add(delay_ms);
        }
        delay_ms
    }
}

#[cfg(test)]
mod tests {
    use millstream_types::SeededRng;

    use super::*;

    /// The delays after failures at these times.
    fn delays(settings: RestartSettings, failures_ms: &[i64]) -> Vec<Option<i64>> {
        let mut strategy = RestartStrategy::new(settings);
        let rng = SeededRng::new(1);
        failures_ms.iter().map(|at| strategy.failed(*at, &rng)).collect()
    }

    #[test]
    fn the_strategies() {
        assert_eq!(delays(RestartSettings::None, &[0]), [None]);
        let fixed = RestartSettings::FixedDelay {
            attempts: 2,
            delay_ms: 7,
        };
        assert_eq!(delays(fixed, &[0, 1, 2]), [Some(7), Some(7), None]);
        let rate = RestartSettings::FailureRate {
            delay_ms: 5,
            interval_ms: 100,
            max_failures: 2,
        };
        assert_eq!(
            delays(rate, &[0, 50, 120, 130]),
            [Some(5), Some(5), Some(5), None]
        );
    }

    #[test]
    fn the_backoff_grows_to_its_limit_and_is_reset_after_a_failure_free_time() {
        let exponential = |attempts| RestartSettings::ExponentialDelay {
            initial_ms: 100,
            max_ms: 300,
            multiplier: 2.0,
            jitter: 0.0,
            reset_ms: 1000,
            attempts,
        };
        let failures = [0, 200, 500, 900, 5000];
        let expected = [Some(100), Some(200), Some(300), Some(300), Some(100)];
        assert_eq!(delays(exponential(None), &failures), expected);
        assert_eq!(
            delays(exponential(Some(2)), &[0, 1, 2]),
            [Some(100), Some(200), None]
        );
    }
}
