//! Server-sent events: a tick each second with the figures of the process.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

use super::Shared;

/// Ticks that may wait for a slow page; then newer ones replace them, because the page needs only the newest.
const QUEUED_TICKS: usize = 2;

pub async fn events(State(ui): Shared) -> Response {
    let mut ticks = ui.sampler.subscribe();
    let (sender, receiver) = mpsc::channel(QUEUED_TICKS);
    tokio::spawn(async move {
        // A stream without an end would hold back the server's own.
        while !ui.server.is_stopping() {
            let text = serde_json::to_string(&*ticks.borrow_and_update()).unwrap_or_default();
            let event = Bytes::from(format!("event: tick\ndata: {text}\n\n"));
            if sender.send(event).await.is_err() {
                return;
            }
            tokio::select! {
                changed = ticks.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Body::new(EventBody(receiver))).into_response()
}

/// A body without an end.
struct EventBody(mpsc::Receiver<Bytes>);

impl HttpBody for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(context)
            .map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
