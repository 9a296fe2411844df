//! Why a session ends, with the close code that says so. Clients act on the range: 40xx stop, 41xx
//! back off and begin anew, 42xx come back at once.

use std::time::Duration;

use tokio::time::timeout;

use super::socket::{Broken, Reader, Writer};
use super::wire::Fault;

/// Time that a client which is sent away has to end the connection itself.
const PARTING: Duration = Duration::from_millis(300);

/// The end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// The client closed, or its connection broke: there is nobody left to tell.
    Gone,
    /// The client said goodbye, with this code.
    Bye {
        code: Option<u16>,
    },
    /// The client broke the rules of WebSocket itself.
    Protocol,
    Binary,
    InvalidUtf8,
    Version,
    Malformed,
    Credentials,
    Forbidden,
    Superseded,
    HelloTimeout,
    TooLarge,
    TooManyErrors,
    ServerError,
    Rate,
    /// More connections than this engine, or this person's address, may have.
    Connections,
    TokenExpired,
    Overload,
    Drain,
    Slow,
    Silent,
    Gap,
    /// Another engine has the work of this one.
    Moved,
}

impl Close {
    /// The number on the wire; `None` where no frame can be sent. A goodbye is counted as 1000 and
    /// answered with what it said.
    pub(super) const fn number(self) -> Option<u16> {
        Some(match self {
            Self::Gone => return None,
            Self::Bye { .. } => 1000,
            Self::Protocol => 1002,
            Self::Binary => 1003,
            Self::InvalidUtf8 => 1007,
            Self::Version => 4000,
            Self::Malformed => 4001,
            Self::Credentials => 4002,
            Self::Forbidden => 4003,
            Self::Superseded => 4004,
            Self::HelloTimeout => 4005,
            Self::TooLarge => 4006,
            Self::TooManyErrors => 4007,
            Self::ServerError => 4100,
            Self::Rate => 4101,
            Self::Connections => 4102,
            Self::TokenExpired => 4103,
            Self::Overload => 4104,
            Self::Drain => 4200,
            Self::Slow => 4201,
            Self::Silent => 4202,
            Self::Gap => 4203,
            Self::Moved => 4204,
        })
    }

    /// A word for people who look at a capture of the wire.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Bye { .. } => "bye",
            Self::Protocol => "protocol",
            Self::Binary => "binary",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::Credentials => "credentials",
            Self::Forbidden => "forbidden",
            Self::Superseded => "superseded",
            Self::HelloTimeout => "hello_timeout",
            Self::TooLarge => "too_large",
            Self::TooManyErrors => "too_many_errors",
            Self::ServerError => "server_error",
            Self::Rate => "rate",
            Self::Connections => "connection_limit",
            Self::TokenExpired => "token_expired",
            Self::Overload => "overload",
            Self::Drain => "drain",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Gap => "gap",
            Self::Moved => "moved",
        }
    }

    /// Whether what is still queued is of no use: its reader does not read, or must not.
    pub(super) const fn is_abrupt(self) -> bool {
        matches!(self, Self::Gone | Self::Bye { .. } | Self::Slow | Self::Gap)
    }

    /// Says it, as the last frame, where there is somebody to hear it, and ends the connection. One
    /// who did not expect it may still be sending: were that not read, the system would take the
    /// frame from it.
    pub(super) async fn say(self, mut reader: Reader, writer: Writer) {
        match self {
            Self::Gone => {}
            Self::Bye { code } => writer.close(code, ""),
            close => {
                writer.close(close.number(), close.word());
                timeout(PARTING, reader.drain()).await.ok();
            }
        }
    }
}

impl From<Broken> for Close {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Gone => Self::Gone,
            Broken::Fault(Fault::Protocol) => Self::Protocol,
            Broken::Fault(Fault::InvalidUtf8) => Self::InvalidUtf8,
            Broken::Fault(Fault::TooLarge) => Self::TooLarge,
        }
    }
}
