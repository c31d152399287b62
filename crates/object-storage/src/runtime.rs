//! Where requests run.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle, Runtime};

const THREADS: usize = 1;

fn handle() -> io::Result<&'static Handle> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if RUNTIME.get().is_none() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("object-store")
            .enable_all()
            .build()?;
        // Of two that are made at once, one goes.
        if let Err(second) = RUNTIME.set(runtime) {
            second.shutdown_background();
        }
    }
    let made = RUNTIME.get().map(Runtime::handle);
    made.ok_or_else(|| io::Error::other("there is no runtime for requests"))
}

/// A request under way.
pub(crate) struct Pending<T>(mpsc::Receiver<T>);

impl<T> Pending<T> {
    /// Blocks until the request has ended.
    pub(crate) fn wait(self) -> io::Result<T> {
        let gone = |_| io::Error::other("the request was dropped");
        self.0.recv().map_err(gone)
    }
}

/// Starts a request. It may be waited for in any thread, in those of other runtimes as well.
pub(crate) fn start<T: Send + 'static>(
    request: impl Future<Output = T> + Send + 'static,
) -> io::Result<Pending<T>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    handle()?.spawn(async move {
        // The caller may be gone.
        _ = sender.send(request.await);
    });
    Ok(Pending(receiver))
}
