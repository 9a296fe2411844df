//! The provider's bytes as types: charges, received Pix, refunds, payouts, callbacks, errors.
//!
//! The client of the provider and the simulator of it read and write these. They bend where the
//! provider may: fields that are new are passed over, states that are new are kept as `Unknown`,
//! `null` is absence. They do not bend for money: an amount is text, `\d{1,10}\.\d{2}`.
//!
//! Source: the central bank's Pix API 2.9.0, and the provider's published documentation.

mod account;
mod callback;
mod charge;
mod page;
mod personal;
mod problem;
mod received;
mod send;
mod states;
mod text;

pub use account::{
    Balance, Blocks, Defence, Infraction, InfractionAnalysis, NewWebhook, Resend, TokenAnswer,
    TokenRequest, Webhook,
};
pub use callback::{Callback, CallbackError, Notice};
pub use charge::{
    Calendar, Charge, ChargeRevision, ChargeValue, Expiry, Location, LocationRef, NewCharge, Note,
};
pub use page::{Listing, PageQuery, Paging, Parameters, Row};
pub use personal::{Party, Personal};
pub use problem::{Named, Problem, ProviderError, Violation};
pub use received::{NewRefund, Payer, Received, ReceivedExtras, Refund, Split, Times};
pub use send::{
    BankAccount, Beneficiary, NewSend, Payee, PayeeIdentity, PayingKey, Returned, SendAccepted,
    SendExtras, SendFailure, SendNotice, Sent,
};
pub use states::{
    AccountKind, Analysis, ChargeStatus, InfractionStatus, NoticeKind, RefundNature, RefundStatus,
    SendStatus,
};
pub use text::moment_of;

pub use ibora_domain::pix::{EndToEndId, PixKey, RefundId, ReturnId, SendId, Txid};

#[cfg(test)]
#[path = "examples_tests.rs"]
mod examples_tests;
#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile_tests;
