//! Ties something to an answer until its reader has taken it: a turn, a share, a count or room.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// A body that holds something, as do its bytes: the body is handed over as a whole long before a
/// slow reader has taken the bytes.
struct Held<T> {
    body: Body,
    held: Arc<T>,
}

/// Bytes that hold something.
struct HeldBytes<T> {
    bytes: Bytes,
    _held: T,
}

impl<T> AsRef<[u8]> for HeldBytes<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Has the answer hold something until its last byte was handed to the system or nobody wants it
/// any more.
pub(crate) fn until_sent<T: Send + Sync + 'static>(answer: Response, held: T) -> Response {
    let held = Arc::new(held);
    answer.map(|body| Body::new(Held { body, held }))
}

/// Has the bytes hold something for as long as anybody has them.
pub(crate) fn bytes_with<T: Send + 'static>(bytes: Bytes, held: T) -> Bytes {
    Bytes::from_owner(HeldBytes { bytes, _held: held })
}

impl<T: Send + Sync + 'static> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let held = self.held.clone();
        Pin::new(&mut self.body)
            .poll_frame(context)
            .map_ok(|frame| frame.map_data(|bytes| bytes_with(bytes, held)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn what_an_answer_holds_is_let_go_of_with_its_last_byte_and_not_with_its_body() {
        let held = Arc::new(());
        let answer = Response::new(Body::from("a page"));
        let mut body = until_sent(answer, held.clone()).into_body();
        let frame = body.frame().await.expect("a frame").expect("is read");
        let bytes = frame.into_data().expect("is data");
        drop(body);
        assert_eq!(Arc::strong_count(&held), 2);
        drop(bytes);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
