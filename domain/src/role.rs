//! What a person may be and do: roles, scopes, and how far a driver's approval has come.
//!
//! The names are part of the public contract, of tokens and of the database: `snake_case`, never
//! renamed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::person::PersonError;

macro_rules! named {
    ($name:ident, $field:literal, [$($variant:ident = $text:literal),* $(,)?]) => {
        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The public name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = PersonError;

            fn from_str(text: &str) -> Result<Self, PersonError> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(PersonError::UnknownName { field: $field }),
                }
            }
        }
    };
}

/// What a person is to Ibora. One person has one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Passenger,
    Driver,
    Admin,
    Partner,
}

named!(
    Role,
    "role",
    [Passenger = "passenger", Driver = "driver", Admin = "admin", Partner = "partner",]
);

impl Role {
    /// What a token of this role may do.
    #[must_use]
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Passenger | Self::Driver | Self::Partner => &[Scope::Read, Scope::Write],
            Self::Admin => &[Scope::Read, Scope::Write, Scope::Admin],
        }
    }
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Read,
    Write,
    Admin,
}

named!(Scope, "scope", [Read = "read", Write = "write", Admin = "admin"]);

/// How far the review of a driver has come. Only an approved driver may go online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    Pending,
    Approved,
    Rejected,
    Suspended,
}

named!(
    Approval,
    "approval",
    [Pending = "pending", Approved = "approved", Rejected = "rejected", Suspended = "suspended",]
);

/// A review that the present state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a driver who is {from} cannot become {to}")]
pub struct ReviewRefused {
    pub from: Approval,
    pub to: Approval,
}

impl Approval {
    /// Decides a review. `Ok(false)`: already so, nothing to record.
    ///
    /// # Errors
    /// [`ReviewRefused`]: only a pending driver is rejected, only an approved one suspended, and
    /// nobody becomes pending again.
    pub fn review(self, to: Self) -> Result<bool, ReviewRefused> {
        match (self, to) {
            (Self::Pending | Self::Rejected | Self::Suspended, Self::Approved)
            | (Self::Pending, Self::Rejected)
            | (Self::Approved, Self::Suspended) => Ok(true),
            (Self::Approved, Self::Approved)
            | (Self::Rejected, Self::Rejected)
            | (Self::Suspended, Self::Suspended) => Ok(false),
            (Self::Approved | Self::Suspended, Self::Rejected)
            | (Self::Pending | Self::Rejected, Self::Suspended)
            | (_, Self::Pending) => Err(ReviewRefused { from: self, to }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_out_and_come_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
        }
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
        for approval in Approval::ALL {
            assert_eq!(approval.as_str().parse(), Ok(*approval));
        }
        let refused = PersonError::UnknownName { field: "role" };
        assert_eq!("root".parse::<Role>(), Err(refused));
    }

    #[test]
    fn only_an_admin_has_the_admin_scope() {
        for role in Role::ALL {
            assert_eq!(role.scopes().contains(&Scope::Admin), *role == Role::Admin, "{role}");
        }
    }

    #[test]
    fn reviews_follow_the_table() {
        use Approval::{Approved, Pending, Rejected, Suspended};
        let table = [
            (Pending, [(Approved, Some(true)), (Rejected, Some(true)), (Suspended, None)]),
            (Approved, [(Approved, Some(false)), (Rejected, None), (Suspended, Some(true))]),
            (Rejected, [(Approved, Some(true)), (Rejected, Some(false)), (Suspended, None)]),
            (Suspended, [(Approved, Some(true)), (Rejected, None), (Suspended, Some(false))]),
        ];
        for (from, row) in table {
            assert!(from.review(Pending).is_err(), "{from} -> pending");
            for (to, expected) in row {
                assert_eq!(from.review(to).ok(), expected, "{from} -> {to}");
            }
        }
    }
}
