//! Callbacks: one address gets four kinds, told apart by their fields.
//!
//! A callback is a hint, for nobody signs it. Each element stands for itself: one that makes no
//! sense does not take the others with it.

use ibora_domain::pix::{EndToEndId, PixKey};
use ibora_domain::provider::NoticeKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::received::Received;
use super::send::SendNotice;
use super::states::NoticeKind;

/// Why a body, or an element of one, is no callback. It never repeats what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallbackError {
    #[error("not an object with a list `pix`")]
    Body,
    #[error("an element of `pix` is none of the four kinds")]
    Element,
}

/// What one element tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Notice {
    /// Somebody paid us.
    Received(Received),
    /// Refunds of what somebody paid us, under the receipt's own number.
    Refunded(Received),
    /// A payout came to an end.
    Sent(SendNotice),
    /// A payout that was done came back, whole or in parts.
    Returned(SendNotice),
}

impl Notice {
    /// Reads one element.
    ///
    /// # Errors
    /// [`CallbackError::Element`].
    pub fn read(element: &Value) -> Result<Self, CallbackError> {
        let text = |name: &str| element.get(name).is_some_and(Value::is_string);
        let extras = element.get("gnExtras");
        let sent = text("tipo") || extras.and_then(|extras| extras.get("idEnvio")).is_some();
        if sent {
            let notice = SendNotice::deserialize(element).map_err(|_| CallbackError::Element)?;
            let kind = if notice.returns.is_empty() { Self::Sent } else { Self::Returned };
            return Ok(kind(notice));
        }
        let notice = Received::deserialize(element).map_err(|_| CallbackError::Element)?;
        let kind = if notice.refunds.is_empty() { Self::Received } else { Self::Refunded };
        Ok(kind(notice))
    }

    /// Which of the four it is.
    #[must_use]
    pub const fn kind(&self) -> NoticeKind {
        match self {
            Self::Received(_) => NoticeKind::Received,
            Self::Refunded(_) => NoticeKind::Refunded,
            Self::Sent(_) => NoticeKind::Sent,
            Self::Returned(_) => NoticeKind::Returned,
        }
    }

    /// The number from end to end.
    #[must_use]
    pub const fn e2e_id(&self) -> &EndToEndId {
        match self {
            Self::Received(notice) | Self::Refunded(notice) => &notice.e2e_id,
            Self::Sent(notice) | Self::Returned(notice) => &notice.e2e_id,
        }
    }

    /// The key of ours that it is about, where it says so.
    #[must_use]
    pub const fn key(&self) -> Option<&PixKey> {
        match self {
            Self::Received(notice) | Self::Refunded(notice) => notice.key.as_ref(),
            Self::Sent(notice) | Self::Returned(notice) => notice.key.as_ref(),
        }
    }

    /// What this notice tells, piece by piece: one for a receipt or the end of a payout, one a
    /// refund or return otherwise.
    #[must_use]
    pub fn pieces(&self) -> Vec<NoticeKey> {
        let piece = |part: &str, status: &str| {
            NoticeKey::new(self.kind().as_str(), self.e2e_id().clone(), (part, status))
        };
        match self {
            Self::Received(_) => vec![piece("", "")],
            Self::Sent(notice) => vec![piece("", notice.status.as_str())],
            Self::Refunded(notice) => {
                let refunds = notice.refunds.iter();
                refunds.map(|refund| piece(refund.id.as_str(), refund.status.as_str())).collect()
            }
            Self::Returned(notice) => {
                let named = |at: usize, part: &super::send::Returned| {
                    let network = part.return_id.as_ref().map(|id| id.as_str().to_owned());
                    let ours = part.id.as_ref().map(|id| id.as_str().to_owned());
                    network.or(ours).unwrap_or_else(|| at.to_string())
                };
                let parts = notice.returns.iter().enumerate();
                parts.map(|(at, part)| piece(&named(at, part), part.status.as_str())).collect()
            }
        }
    }
}

/// The body of a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    pub notices: Vec<Result<Notice, CallbackError>>,
}

impl Callback {
    /// Reads a body.
    ///
    /// # Errors
    /// [`CallbackError::Body`] where there is no list at all.
    pub fn read(body: &[u8]) -> Result<Self, CallbackError> {
        Ok(Self { notices: Self::elements(body)?.iter().map(Notice::read).collect() })
    }

    /// The elements of a body, as they came.
    ///
    /// # Errors
    /// [`CallbackError::Body`] where there is no list at all.
    pub fn elements(body: &[u8]) -> Result<Vec<Value>, CallbackError> {
        #[derive(Deserialize)]
        struct Shape {
            pix: Vec<Value>,
        }
        let shape: Shape = serde_json::from_slice(body).map_err(|_| CallbackError::Body)?;
        Ok(shape.pix)
    }
}

impl Serialize for Callback {
    /// The elements that made sense, under `pix`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            pix: Vec<&'a Notice>,
        }
        let pix = self.notices.iter().filter_map(|notice| notice.as_ref().ok()).collect();
        Shape { pix }.serialize(serializer)
    }
}
