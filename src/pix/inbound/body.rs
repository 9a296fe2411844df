//! Bodies of callbacks: read to their end within bounds of size and time, for a caller may listen
//! only once he has sent all.

use std::time::Duration;

use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;

/// Time a body may take to come in.
const WITHIN: Duration = Duration::from_secs(10);
/// Bytes that are read in vain, and the time they may take.
const VAIN_MAX: usize = 1 << 20;
const VAIN_WITHIN: Duration = Duration::from_millis(500);

pub(super) enum Body {
    Whole(Bytes),
    TooLarge,
    /// It did not come, or not in time.
    Broken,
}

/// Reads a body of at most `bytes_max`.
pub(super) async fn read(mut payload: Payload, bytes_max: usize) -> Body {
    let collect = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let Ok(chunk) = chunk else { return Body::Broken };
            if body.len() + chunk.len() > bytes_max {
                return Body::TooLarge;
            }
            body.extend_from_slice(&chunk);
        }
        Body::Whole(body.freeze())
    };
    let body = tokio::time::timeout(WITHIN, collect).await.unwrap_or(Body::Broken);
    if matches!(body, Body::TooLarge) {
        pass_over(payload).await;
    }
    body
}

/// Reads what nobody wants, for a moment: bytes that nobody reads would take the answer from their
/// sender.
pub(super) async fn pass_over(mut payload: Payload) {
    let read = async {
        let mut left = VAIN_MAX;
        while let Some(Ok(chunk)) = payload.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(VAIN_WITHIN, read).await.ok();
}
