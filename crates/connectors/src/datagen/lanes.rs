//! Which rows of the sequence an instance makes, and when they are due.
//!
//! Instance `i` of `n` makes the rows `i`, `i + n`, `i + 2n`, …: a lane. Row `r` of the whole table is due `r / rate`
//! seconds after the start, so that the rate holds over all instances, however low it is. After a change of parallelism
//! the remaining lanes are redistributed and split where there are too few.

/// Rows `next`, `next + stride`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub next: u64,
    pub stride: u64,
}

impl Lane {
    /// Remaining rows below `end`.
    pub fn left(self, end: u64) -> u64 {
        end.saturating_sub(self.next).div_ceil(self.stride)
    }
}

/// The lanes of an instance from those of all former instances.
pub(super) fn deal(mut lanes: Vec<Lane>, subtask: usize, parallelism: usize) -> Vec<Lane> {
    lanes.sort_unstable();
    while !lanes.is_empty() && lanes.len() < parallelism {
        let widest = (0..lanes.len()).min_by_key(|i| lanes[*i].stride).unwrap_or(0);
        let Lane { next, stride } = lanes[widest];
        let stride_of_both = stride.saturating_mul(2);
        lanes[widest].stride = stride_of_both;
        lanes.push(Lane {
            next: next.saturating_add(stride),
            stride: stride_of_both,
        });
    }
    let own = |(index, _): &(usize, Lane)| index % parallelism.max(1) == subtask;
    lanes
        .into_iter()
        .enumerate()
        .filter(own)
        .map(|(_, lane)| lane)
        .collect()
}

/// A lane, and the rows that it generated since the rate started to count.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacedLane {
    pub lane: Lane,
    /// Rows of other lanes before its first row.
    offset: u64,
    made: u64,
}

impl PacedLane {
    pub fn new(lane: Lane) -> Self {
        Self {
            lane,
            offset: lane.next % lane.stride.max(1),
            made: 0,
        }
    }

    /// Rows that are due.
    pub fn due(&self, elapsed_ms: u64, rows_per_second: u64) -> u64 {
        let newest = u128::from(elapsed_ms) * u128::from(rows_per_second) / 1000;
        let newest = u64::try_from(newest).unwrap_or(u64::MAX);
        let Some(behind_first) = newest.checked_sub(self.offset) else {
            return 0;
        };
        (behind_first / self.lane.stride + 1).saturating_sub(self.made)
    }

    /// Time after the start at which the next row is due.
    pub fn next_due_ms(&self, rows_per_second: u64) -> u64 {
        let row = u128::from(self.offset) + u128::from(self.made) * u128::from(self.lane.stride);
        let ms = (row * 1000).div_ceil(u128::from(rows_per_second.max(1)));
        u64::try_from(ms).unwrap_or(u64::MAX)
    }

    /// Takes `count` rows.
    pub fn take(&mut self, count: u64) -> impl Iterator<Item = u64> + use<> {
        let Lane { next, stride } = self.lane;
        self.lane.next = next.saturating_add(count.saturating_mul(stride));
        self.made += count;
        (0..count).map(move |i| next + i * stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 1, 3 and 5 rows per second, two instances generated 2, 2 and 4.
    #[test]
    fn low_rates_hold_over_all_instances() {
        for rate in [1, 3, 5, 1000] {
            for instances in [1, 2, 3] {
                let lanes = (0..instances).map(|next| {
                    PacedLane::new(Lane {
                        next,
                        stride: instances,
                    })
                });
                let due_after = |ms: u64| lanes.clone().map(|lane| lane.due(ms, rate)).sum::<u64>();
                assert_eq!(
                    due_after(9_999),
                    rate * 10,
                    "{rate} a second, {instances} instances"
                );
                assert_eq!(due_after(10_000), rate * 10 + 1);
            }
        }
    }

    #[test]
    fn a_lane_is_due_when_it_says() {
        let mut lane = PacedLane::new(Lane { next: 1, stride: 2 });
        for row in [1, 3, 5] {
            let at = lane.next_due_ms(3);
            assert_eq!((lane.due(at - 1, 3), lane.due(at, 3)), (0, 1));
            assert_eq!(lane.take(1).collect::<Vec<_>>(), [row]);
        }
    }

    #[test]
    fn another_parallelism_makes_every_row_once() {
        let mut made: Vec<u64> = Vec::new();
        let mut lanes = vec![Lane { next: 0, stride: 1 }];
        for (round, instances) in [2, 3, 1, 4].into_iter().enumerate() {
            let dealt: Vec<Vec<Lane>> = (0..instances)
                .map(|i| deal(lanes.clone(), i, instances))
                .collect();
            lanes.clear();
            for (instance, own) in dealt.into_iter().enumerate() {
                for lane in own {
                    let mut paced = PacedLane::new(lane);
                    // Instances advance at different speeds.
                    made.extend(paced.take((3 + round + instance) as u64));
                    lanes.push(paced.lane);
                }
            }
        }
        for lane in lanes {
            made.extend(PacedLane::new(lane).take(lane.left(1000)));
        }
        made.sort_unstable();
        made.retain(|row| *row < 1000);
        assert_eq!(made, (0..1000).collect::<Vec<_>>());
    }
}
