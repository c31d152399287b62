//! Background tasks of a sink, which run while the worker continues.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use millstream_dataflow::Waker;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A task whose result is polled. It wakes the worker when it is done, and is cancelled on drop.
pub(super) struct Background<T> {
    outcome: Arc<Mutex<Option<T>>>,
    task: AbortHandle,
}

impl<T: Send + 'static> Background<T> {
    pub fn start(
        runtime: &Handle,
        waker: Option<Waker>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let outcome = Arc::new(Mutex::new(None));
        let done = Arc::clone(&outcome);
        let task = runtime.spawn(async move {
            let result = work.await;
            *done.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        Self {
            outcome,
            task: task.abort_handle(),
        }
    }

    /// The result, returned once.
    pub fn poll(&self) -> Option<T> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
