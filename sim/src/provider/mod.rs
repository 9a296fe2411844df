//! The payment provider as a part of the world: its books (`ibora-psp`), the network to it, the
//! payers, and the callbacks by which it tells.
//!
//! It has the right time, acts on a call when that arrives, and cannot be taken back: an answer may
//! be lost afterwards. Nothing here knows what an engine believes.

mod banks;
mod callbacks;
mod calls;

use std::collections::{BTreeMap, BTreeSet};

use ibora_domain::ids::PaymentId;
use ibora_domain::money::Centavos;
use ibora_domain::payment::Payment;
use ibora_domain::pix::{EndToEndId, PixKey, SendId, Txid};
use ibora_domain::units::{Millis, UnixMillis};
use ibora_psp::{Books, PayoutState, Rules};

use crate::faults::Kind;
use crate::purse::Purse;
use crate::queue::{MS, Micros, SECOND};
use crate::tell;
use crate::world::{Event, World};

pub use callbacks::Knock;
pub use calls::{Answer, Call, ChargeFound, RefundFound};

/// The key that passengers pay to.
const OUR_KEY: &str = "ibora@example.com";

/// Something that happens at the provider.
pub enum ProviderEvent {
    /// A call arrives; where it is not `answered`, its answer is lost.
    Call {
        from: (usize, u64),
        number: u64,
        call: Box<Call>,
        answered: bool,
    },
    /// Something is due in its books.
    Due,
    /// Somebody pays, by what his bank shows him.
    Pays(Box<ibora_psp::Payment>),
    /// A payer's bank claims fraud, has decided with ours, or takes back what was paid.
    Claims {
        pix: EndToEndId,
    },
    Decides {
        id: String,
        accepted: bool,
    },
    TakesBack {
        pix: EndToEndId,
    },
    /// A payee's bank sends back a part of a payout, or all of it.
    Returns {
        send: SendId,
        amount: Centavos,
    },
    /// A callback is brought.
    Knock(Box<Knock>),
}

/// What an id of the provider's is of: a refund may be called as a charge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Made {
    Charge,
    Pix,
    Refund,
    Send,
}

/// The provider.
pub struct Provider {
    pub books: Books,
    key: Option<PixKey>,
    /// What is under these ids is shown to nobody before then.
    seen_from: BTreeMap<(Made, String), Micros>,
    /// When it next looks what is due.
    looks_at: Option<Micros>,
    /// Until then so many calls go wrong, it cannot be reached, shows late what is new, takes long,
    /// loses its callbacks, or brings them twice and in any order.
    pub shaky_until: Micros,
    pub down_until: Micros,
    pub blind_until: Micros,
    pub slow_until: Micros,
    pub mute_until: Micros,
    pub stutters_until: Micros,
    /// Charges that somebody has decided about, whether to pay them or not.
    pub(crate) billed: BTreeSet<Txid>,
}

impl Provider {
    #[must_use]
    pub fn new(purse: &Purse) -> Self {
        let (settle_after, tariff) = (purse.settles, purse.tariff);
        Self {
            books: Books::new(Rules { settle_after, tariff, ..Rules::default() }),
            key: PixKey::parse(OUR_KEY).ok(),
            seen_from: BTreeMap::new(),
            looks_at: None,
            shaky_until: 0,
            down_until: 0,
            blind_until: 0,
            slow_until: 0,
            mute_until: 0,
            stutters_until: 0,
            billed: BTreeSet::new(),
        }
    }

    /// The key that passengers pay to.
    #[must_use]
    pub fn key(&self) -> Option<PixKey> {
        self.key.clone()
    }

    /// Charges of a payment that can be paid.
    pub fn active_charges(&self, of: PaymentId) -> usize {
        let active = self.books.charges().filter(|charge| {
            charge.state == ibora_psp::ChargeState::Active
                && Payment::of_txid(&charge.txid) == Some(of)
        });
        active.count()
    }

    /// Payouts that were accepted and have no end yet.
    pub fn pending_sends(&self) -> impl Iterator<Item = &ibora_psp::Payout> {
        self.books.payouts().filter(|send| send.state == PayoutState::Pending)
    }
}

impl World {
    /// The right time.
    #[must_use]
    pub fn wall(&self) -> UnixMillis {
        crate::world::BEGAN + Millis(self.now / MS)
    }

    /// Something happens at the provider.
    pub fn provider_event(&mut self, what: ProviderEvent) {
        self.provider.books.tick(self.wall());
        match what {
            ProviderEvent::Call { from, number, call, answered } => {
                self.call_arrives(from, number, (&call, answered));
            }
            ProviderEvent::Due => self.provider.looks_at = None,
            ProviderEvent::Pays(payment) => self.somebody_pays(*payment),
            ProviderEvent::Claims { pix } => self.bank_claims(&pix),
            ProviderEvent::Decides { id, accepted } => self.banks_decide(&id, accepted),
            ProviderEvent::TakesBack { pix } => self.bank_takes_back(&pix),
            ProviderEvent::Returns { send, amount } => {
                let now = self.wall();
                if self.provider.books.return_send(&send, amount, now).is_ok() {
                    self.watch.count("send_returned");
                    tell!(self, "psp: {amount} of {send} comes back");
                }
            }
            ProviderEvent::Knock(knock) => self.knock(*knock),
        }
        self.provider_moved();
    }

    /// What has happened is told, and what is to come will.
    fn provider_moved(&mut self) {
        let notices: Vec<_> = self.provider.books.take_notices().collect();
        for notice in notices {
            self.call_back(&notice);
            if let ibora_psp::Notice::Sent { send } = notice {
                self.payee_thinks(&send);
            }
        }
        let Some(due) = self.provider.books.next_due() else { return };
        let at = self.now + due.since(self.wall()).0 * MS;
        if self.provider.looks_at.is_none_or(|looks_at| at < looks_at) {
            self.provider.looks_at = Some(at);
            self.at(at, Event::Provider(ProviderEvent::Due));
        }
    }

    /// The bank of who was paid may send it back, whole or in parts.
    fn payee_thinks(&mut self, send: &SendId) {
        let Some(payout) = self.provider.books.payout(send) else { return };
        let (done, value) = (payout.state == PayoutState::Done, payout.value);
        if !done || !self.chance.percent(self.temper.purse.sent_back) {
            return;
        }
        let part = Centavos(value.0 / [1, 2, 3][self.chance.index(3)]);
        for _ in 0..=self.chance.below(2) {
            let after = self.chance.between(SECOND, 60 * SECOND);
            let send = send.clone();
            let returns = ProviderEvent::Returns { send, amount: part };
            self.at(self.now + after, Event::Provider(returns));
        }
    }

    fn somebody_pays(&mut self, payment: ibora_psp::Payment) {
        let now = self.wall();
        let (txid, forced) = (payment.txid.clone(), payment.forced);
        if let Ok(pix) = self.provider.books.pay(payment, now) {
            tell!(self, "psp: {pix} pays {txid:?}, forced {forced}");
            self.made(Made::Pix, pix.as_str());
            self.bank_thinks(&pix);
        }
    }

    /// A fault of the provider begins.
    pub(crate) fn provider_fault(&mut self, kind: Kind, (whom, until): (usize, Micros)) {
        let provider = &mut self.provider;
        match kind {
            Kind::PspShaky => provider.shaky_until = until,
            Kind::PspDown => provider.down_until = until,
            Kind::PspBlind => provider.blind_until = until,
            Kind::PspSlow => {
                provider.slow_until = until;
                self.psp_pace(Millis::from_secs(if whom.is_multiple_of(2) { 20 } else { 150 }));
            }
            Kind::PspDenies => {
                let script = provider.books.script();
                match whom % 3 {
                    0 => script.deny_sends += 1,
                    1 => script.fail_sends += 1,
                    _ => script.fail_refunds += 1,
                }
            }
            Kind::HooksLost => provider.mute_until = until,
            Kind::HooksOdd => provider.stutters_until = until,
            Kind::Forged => self.forge(whom),
            _ => {}
        }
    }

    /// How long refunds and payouts take from now on.
    pub(crate) fn psp_pace(&mut self, settle_after: Millis) {
        let rules = Rules { settle_after, ..*self.provider.books.rules() };
        self.provider.books.set_rules(rules);
    }
}
