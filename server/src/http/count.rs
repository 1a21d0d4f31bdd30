//! Counts the requests that reach this server, and the bytes of the bodies that it sends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use crate::costs::traffic::Traffic;
use crate::http::handling::Handling;

/// Counts a request, and its answer while it is sent. Health checks are not counted, because the
/// platform makes them.
pub(crate) async fn count_traffic(
    State(traffic): State<Arc<Traffic>>,
    request: Request,
    next: Next,
) -> Response {
    if Handling::of(&request).is_health_check {
        return next.run(request).await;
    }
    traffic.count_request();
    let (parts, body) = next.run(request).await.into_parts();
    let counted = Counted { body, traffic };
    Response::from_parts(parts, Body::new(counted))
}

/// A body that is counted while it is sent.
struct Counted {
    body: Body,
    traffic: Arc<Traffic>,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.traffic.count_sent(data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
