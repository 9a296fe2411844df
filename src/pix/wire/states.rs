//! Names of states and kinds. New ones may come at any time and are no error: they are kept, as
//! the central bank's rule of evolution asks.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! open_enums {
    ($($(#[doc = $doc:literal])+ $name:ident {
        $($(#[doc = $inner:literal])+ $variant:ident = $text:literal $(or $other:literal)*),+ $(,)?
    })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[doc = $inner])+ $variant,)+
            /// A name that is not in this list, as it came.
            Unknown(String),
        }

        impl $name {
            /// The provider's name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(name) => name,
                }
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                match name.as_str() {
                    $($text $(| $other)* => Self::$variant,)+
                    _ => Self::Unknown(name),
                }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                match name {
                    $name::Unknown(name) => name,
                    known => known.as_str().to_owned(),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

open_enums! {
    /// State of a charge's record. There is none for an expired one: expiry is ours to compute.
    ChargeStatus {
        /// May be paid.
        Active = "ATIVA",
        /// Was paid.
        Completed = "CONCLUIDA",
        /// We took it back. The prose of the rule spells it REMOVIDO, its list REMOVIDA.
        RemovedByUser = "REMOVIDA_PELO_USUARIO_RECEBEDOR" or "REMOVIDO_PELO_USUARIO_RECEBEDOR",
        /// The provider took it back.
        RemovedByProvider = "REMOVIDA_PELO_PSP" or "REMOVIDO_PELO_PSP",
    }

    /// State of a refund (devolução).
    RefundStatus {
        /// Asked for, not settled.
        Pending = "EM_PROCESSAMENTO",
        /// The money went back.
        Returned = "DEVOLVIDO",
        /// It did not; `motivo` may say why.
        Failed = "NAO_REALIZADO",
    }

    /// Why money went back. The last three are the bank's doing, not ours.
    RefundNature {
        /// We gave it back.
        Original = "ORIGINAL",
        /// Cash that was not handed out.
        Withdrawal = "RETIRADA",
        /// Special return mechanism, an operational failure.
        MedOperational = "MED_OPERACIONAL",
        /// Special return mechanism, fraud.
        MedFraud = "MED_FRAUDE",
        /// Special return mechanism, an automatic Pix.
        MedAutomatic = "MED_PIX_AUTOMATICO",
    }

    /// State of a payout.
    SendStatus {
        /// Accepted, not settled.
        Pending = "EM_PROCESSAMENTO",
        /// The money left. A list filter is documented with the second name.
        Done = "REALIZADO" or "CONCLUIDA",
        /// It did not; only the callback says why.
        Failed = "NAO_REALIZADO",
    }

    /// State of a claim of fraud (MED).
    InfractionStatus {
        /// Waits for our defence.
        Open = "ABERTA",
        /// Our defence is read.
        InDefence = "EM_DEFESA",
        /// The money goes back.
        Accepted = "ACEITA",
        /// The money stays.
        Rejected = "REJEITADA",
        /// The provider took it back.
        Cancelled = "CANCELADA_EFI",
    }

    /// What we say to a claim.
    Analysis {
        /// The claim is right.
        Accepted = "aceito",
        /// It is not.
        Rejected = "rejeitado",
    }

    /// Kinds of bank accounts.
    AccountKind {
        /// Current account.
        Current = "cacc",
        /// Savings account.
        Savings = "svgs",
    }

    /// The four kinds of callbacks, as the call that sends them again names them.
    NoticeKind {
        /// Somebody paid us.
        Received = "PIX_RECEBIDO",
        /// A payout of ours came to an end.
        Sent = "PIX_ENVIADO",
        /// A payout of ours came back.
        Returned = "DEVOLUCAO_RECEBIDA",
        /// A refund of ours came to an end.
        Refunded = "DEVOLUCAO_ENVIADA",
    }
}

impl RefundNature {
    /// Whether the bank took the money, without our asking.
    #[must_use]
    pub fn is_bank_initiated(&self) -> bool {
        matches!(self, Self::MedOperational | Self::MedFraud | Self::MedAutomatic)
    }
}
