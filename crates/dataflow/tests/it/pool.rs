//! The threads that all jobs share.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use millstream_dataflow::pool::{Pool, PoolTask, TaskHandle, Turn};

const FOR_EVER: Duration = Duration::from_secs(1_000_000);

/// A task out of a closure.
struct Task<F>(F);

impl<F: FnMut() -> Turn + Send> PoolTask for Task<F> {
    fn turn(&mut self) -> Turn {
        (self.0)()
    }
}

fn pool() -> &'static Pool {
    Pool::workers().grow_to(2).unwrap();
    Pool::workers()
}

fn start(body: impl FnMut() -> Turn + Send + 'static) -> TaskHandle {
    let task = pool().task();
    task.start(Task(body));
    task
}

/// Adds up what it receives; is over when `count` numbers have come.
fn summing(inbox: Receiver<u64>, count: u64, mut report: impl FnMut(u64) + Send + 'static) -> TaskHandle {
    let (mut seen, mut sum) = (0, 0);
    start(move || {
        while let Ok(number) = inbox.try_recv() {
            seen += 1;
            sum += number;
        }
        if seen == count {
            report(sum);
            return Turn::Done;
        }
        Turn::Wait(FOR_EVER)
    })
}

#[test]
fn no_wake_up_is_lost() {
    const NUMBERS: u64 = 10_000;
    let (results, sums) = channel();
    let tasks = (0..5).map(|_| {
        let (sender, inbox) = channel();
        let results = results.clone();
        let task = summing(inbox, NUMBERS, move |sum| results.send(sum).unwrap());
        (sender, task)
    });
    let tasks = Vec::from_iter(tasks);
    std::thread::scope(|scope| {
        for (sender, task) in &tasks {
            scope.spawn(move || {
                for number in 1..=NUMBERS {
                    sender.send(number).unwrap();
                    task.wake();
                }
            });
        }
    });
    tasks.iter().for_each(|(_, task)| task.join());
    drop(results);
    assert_eq!(sums.iter().collect::<Vec<_>>(), [NUMBERS * (NUMBERS + 1) / 2; 5]);
}

#[test]
fn a_task_runs_when_its_time_has_come() {
    let mut turns = 0;
    let task = start(move || {
        turns += 1;
        if turns == 5 {
            Turn::Done
        } else {
            Turn::Wait(Duration::from_millis(2))
        }
    });
    task.join();
}

#[test]
fn blocked_threads_are_replaced() {
    // They block until more tasks are under way than the pool has threads.
    let count = pool().threads() + 3;
    let together = Arc::new(Barrier::new(count));
    let tasks = (0..count).map(|_| {
        let together = Arc::clone(&together);
        start(move || {
            together.wait();
            Turn::Done
        })
    });
    Vec::from_iter(tasks).iter().for_each(TaskHandle::join);
}

#[test]
fn busy_tasks_let_others_run() {
    let over = Arc::new(AtomicBool::new(false));
    let busy = (0..pool().threads() + 3).map(|_| {
        let over = Arc::clone(&over);
        start(move || {
            if over.load(SeqCst) {
                Turn::Done
            } else {
                Turn::Again
            }
        })
    });
    let busy = Vec::from_iter(busy);
    let last = start(move || {
        over.store(true, SeqCst);
        Turn::Done
    });
    last.join();
    busy.iter().for_each(TaskHandle::join);
}

#[test]
fn a_panic_ends_the_task_and_not_the_thread() {
    for _ in 0..pool().threads() + 3 {
        start(|| panic!("a task that does not catch its panics")).join();
    }
    start(|| Turn::Done).join();
}

#[test]
fn a_task_that_never_started_is_not_waited_for() {
    let task = pool().task();
    task.wake();
    task.join();
}
