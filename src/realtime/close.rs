//! Why a session ends, with the close code that says so. Clients act on the range: 40xx stop, 41xx
//! back off and begin anew, 42xx come back at once.

use actix_ws::{CloseCode, CloseReason};

/// The end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// The client closed, or its connection broke: there is nobody left to tell.
    Gone,
    /// The client said goodbye.
    Bye,
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
    /// The number on the wire; `None` where no frame can be sent.
    pub(super) const fn number(self) -> Option<u16> {
        Some(match self {
            Self::Gone => return None,
            Self::Bye => 1000,
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
            Self::Bye => "bye",
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
        matches!(self, Self::Gone | Self::Bye | Self::Slow | Self::Gap)
    }

    /// The frame that says it.
    pub(super) fn reason(self) -> Option<CloseReason> {
        let code = CloseCode::from(self.number()?);
        Some(CloseReason { code, description: Some(self.word().to_owned()) })
    }
}
