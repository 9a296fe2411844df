//! Calls to the provider: what is asked, what goes wrong on the way, and what it answers.

use ibora_domain::machines::RefundSeen;
use ibora_domain::money::Centavos;
use ibora_domain::payment::{ChargeSeen, Incoming, Payment};
use ibora_domain::payout::{Returned, SendOrder, SendState, SentPayout};
use ibora_domain::pix::{EndToEndId, PixKey, RefundId, SendId, Txid};
use ibora_domain::provider::{Code, Hindrance, Outcome, ProviderError, Seen, Why};
use ibora_domain::units::Millis;
use ibora_psp::{
    ChargeOrder, ChargeState, PayoutOrder, PayoutState, Receipt, RefundState, Refusal,
};

use super::banks::taken_of;
use super::{Made, ProviderEvent};
use crate::node::NodeEvent;
use crate::queue::{MS, Micros, SECOND};
use crate::tell;
use crate::world::{Event, World};

/// What is asked of the provider, or ordered.
#[derive(Debug, Clone)]
pub enum Call {
    PutCharge { txid: Txid, amount: Centavos, expires_in: Millis },
    GetCharge { txid: Txid },
    RemoveCharge { txid: Txid },
    GetPix { pix: EndToEndId },
    PutRefund { pix: EndToEndId, id: RefundId, amount: Centavos },
    GetRefund { pix: EndToEndId, id: RefundId },
    Balance,
    Send(Box<SendOrder>),
    GetSend { id: SendId },
}

/// A charge as the provider shows it.
#[derive(Debug, Clone)]
pub struct ChargeFound {
    amount: Centavos,
    pub seen: ChargeSeen,
}

/// A refund as the provider shows it.
#[derive(Debug, Clone)]
pub struct RefundFound {
    amount: Centavos,
    pub seen: RefundSeen,
}

impl Seen for ChargeFound {
    fn amount(&self) -> Centavos {
        self.amount
    }

    fn key(&self) -> Option<&PixKey> {
        None
    }
}

impl Seen for RefundFound {
    fn amount(&self) -> Centavos {
        self.amount
    }

    fn key(&self) -> Option<&PixKey> {
        None
    }
}

/// What came of a call.
#[derive(Debug, Clone)]
pub enum Answer {
    Charge(Outcome<ChargeFound>),
    Pix(Outcome<Incoming>),
    Refund(Outcome<RefundFound>),
    Balance(Outcome<Centavos>),
    Send(Outcome<SentPayout>),
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    NotSent,
    Lost,
    AnswerLost,
    Late,
    Failed,
    FailedAfter,
    Limited,
}

impl Wrong {
    const ALL: [Self; 6] =
        [Self::Lost, Self::AnswerLost, Self::Late, Self::Failed, Self::FailedAfter, Self::Limited];

    /// What whoever called is told.
    fn told<T>(self) -> Outcome<T> {
        match self {
            Self::NotSent => Outcome::NotSent(Hindrance::Connect),
            Self::Lost | Self::Late => Outcome::Unclear(Why::TimedOut),
            Self::AnswerLost => Outcome::Unclear(Why::Lost),
            Self::Failed | Self::FailedAfter => {
                Outcome::Unclear(Why::Failed { status: 500, code: None })
            }
            Self::Limited => Outcome::Refused(ProviderError::bare(429)),
        }
    }

    fn answer(self, call: &Call) -> Answer {
        match call {
            Call::PutCharge { .. } | Call::GetCharge { .. } | Call::RemoveCharge { .. } => {
                Answer::Charge(self.told())
            }
            Call::GetPix { .. } => Answer::Pix(self.told()),
            Call::PutRefund { .. } | Call::GetRefund { .. } => Answer::Refund(self.told()),
            Call::Balance => Answer::Balance(self.told()),
            Call::Send(_) | Call::GetSend { .. } => Answer::Send(self.told()),
        }
    }
}

fn refused<T>(status: u16, code: &str) -> Outcome<T> {
    let code = Some(Code::new(code));
    Outcome::Refused(ProviderError { code, ..ProviderError::bare(status) })
}

fn not_found<T>() -> Outcome<T> {
    refused(404, "nao_encontrado")
}

impl World {
    /// A call leaves the process of a node.
    pub fn call(&mut self, node: usize, number: u64, call: Call) {
        let from = (node, self.nodes[node].run);
        let there = self.chance.between(15 * MS, 250 * MS);
        let wrong = if self.provider.down_until > self.now {
            Some(if self.chance.percent(70) { Wrong::NotSent } else { Wrong::Lost })
        } else if self.provider.shaky_until > self.now && self.chance.percent(45) {
            Some(Wrong::ALL[self.chance.index(Wrong::ALL.len())])
        } else {
            None
        };
        let (arrives, told): (Option<Micros>, Option<Micros>) = match wrong {
            None => (Some(there), None),
            Some(Wrong::AnswerLost | Wrong::FailedAfter) => {
                (Some(there), Some(there + self.chance.between(15 * MS, 5 * SECOND)))
            }
            Some(Wrong::Late) => (Some(self.chance.between(SECOND, 20 * SECOND)), Some(8 * SECOND)),
            Some(Wrong::Lost) => (None, Some(8 * SECOND)),
            Some(Wrong::NotSent | Wrong::Failed | Wrong::Limited) => (None, Some(there)),
        };
        if let Some((after, wrong)) = told.zip(wrong) {
            tell!(self, "n{node} call {number} {wrong:?}: {call:?}");
            let answer = Box::new(wrong.answer(&call));
            self.to_node(node, after, NodeEvent::Answered { number, answer });
        }
        if let Some(after) = arrives {
            let (call, answered) = (Box::new(call), told.is_none());
            let arrives = ProviderEvent::Call { from, number, call, answered };
            self.at(self.now + after, Event::Provider(arrives));
        }
    }

    /// The provider does what it is asked for, whoever still waits for the answer.
    pub(super) fn call_arrives(
        &mut self,
        (node, run): (usize, u64),
        number: u64,
        (call, answered): (&Call, bool),
    ) {
        let answer = self.provide(call);
        tell!(self, "psp: n{node} call {number}: {call:?}: {answer:?}");
        if answered {
            let back = self.chance.between(15 * MS, 250 * MS);
            let what = NodeEvent::Answered { number, answer: Box::new(answer) };
            self.at(self.now + back, Event::Node { node, run, what });
        }
    }

    fn provide(&mut self, call: &Call) -> Answer {
        match call {
            Call::PutCharge { txid, amount, expires_in } => {
                Answer::Charge(self.make_charge(txid, *amount, *expires_in))
            }
            Call::GetCharge { txid } if self.is_hidden(Made::Charge, txid.as_str()) => {
                Answer::Charge(not_found())
            }
            Call::GetCharge { txid } => Answer::Charge(self.show_charge(txid)),
            Call::RemoveCharge { txid } => {
                let removed = self.provider.books.remove_charge(txid).is_ok();
                Answer::Charge(match removed {
                    true => self.show_charge(txid),
                    false => refused(400, "status_cobranca_invalido"),
                })
            }
            Call::GetPix { pix } if self.is_hidden(Made::Pix, pix.as_str()) => {
                Answer::Pix(not_found())
            }
            Call::GetPix { pix } => Answer::Pix(self.show_pix(pix)),
            Call::PutRefund { pix, id, amount } => {
                Answer::Refund(self.make_refund(pix, id, *amount))
            }
            Call::GetRefund { id, .. } if self.is_hidden(Made::Refund, id.as_str()) => {
                Answer::Refund(not_found())
            }
            Call::GetRefund { pix, id } => Answer::Refund(self.show_refund(pix, id)),
            Call::Balance => Answer::Balance(Outcome::Done(self.provider.books.balance())),
            Call::Send(order) => Answer::Send(self.make_send(order)),
            Call::GetSend { id } if self.is_hidden(Made::Send, id.as_str()) => {
                Answer::Send(not_found())
            }
            Call::GetSend { id } => Answer::Send(self.show_send(id)),
        }
    }

    /// What was just made may be shown late.
    pub(super) fn made(&mut self, kind: Made, id: &str) {
        let (blind, shaky) = (self.provider.blind_until, self.provider.shaky_until);
        let hidden = if blind > self.now { 60 } else { 30 };
        if blind.max(shaky) > self.now && self.chance.percent(hidden) {
            let from = self.now + self.chance.between(SECOND, 8 * SECOND);
            self.provider.seen_from.insert((kind, id.to_owned()), from);
        }
    }

    /// Whether a question finds nothing yet.
    pub(super) fn is_hidden(&self, kind: Made, id: &str) -> bool {
        let hidden = &self.provider.seen_from;
        !hidden.is_empty()
            && hidden.get(&(kind, id.to_owned())).is_some_and(|from| *from > self.now)
    }

    fn make_charge(
        &mut self,
        txid: &Txid,
        value: Centavos,
        expires_in: Millis,
    ) -> Outcome<ChargeFound> {
        let Some(key) = self.provider.key() else { return not_found() };
        let expires_in_s = u32::try_from(expires_in.0.div_ceil(1000)).unwrap_or(u32::MAX);
        let order = ChargeOrder { value, changeable: false, expires_in_s, key };
        let now = self.wall();
        match self.provider.books.create_charge(txid, order, now) {
            Ok(_) => {}
            Err(Refusal::DuplicateTxid) => return refused(409, "txid_duplicado"),
            Err(_) => return refused(400, "valor_invalido"),
        }
        if let Some(payment) = Payment::of_txid(txid) {
            self.watch_charge_made(payment);
        }
        let shown = self.show_charge(txid);
        self.made(Made::Charge, txid.as_str());
        shown
    }

    fn show_charge(&self, txid: &Txid) -> Outcome<ChargeFound> {
        let Some(charge) = self.provider.books.charge(txid) else { return not_found() };
        let paid_by = self.provider.books.receipts_of(txid).map(|receipt| Incoming {
            pix: receipt.e2e_id.clone(),
            txid: Some(txid.clone()),
            amount: receipt.value,
            tariff: self.tariff(receipt),
            taken_back: taken_of(receipt),
        });
        Outcome::Done(ChargeFound {
            amount: charge.order.value,
            seen: ChargeSeen {
                payable: charge.state == ChargeState::Active,
                copy_paste: Some("code".to_owned()),
                paid_by: paid_by.collect(),
            },
        })
    }

    /// What was taken of a Pix, which is shown after a while.
    fn tariff(&self, receipt: &Receipt) -> Option<Centavos> {
        let shown = self.wall().since(receipt.at) >= self.temper.purse.tariff_after;
        shown.then_some(receipt.tariff)
    }

    fn show_pix(&self, pix: &EndToEndId) -> Outcome<Incoming> {
        match self.provider.books.receipt(pix) {
            Some(receipt) => Outcome::Done(Incoming {
                pix: pix.clone(),
                txid: receipt.txid.clone(),
                amount: receipt.value,
                tariff: self.tariff(receipt),
                taken_back: taken_of(receipt),
            }),
            None => not_found(),
        }
    }

    fn make_refund(
        &mut self,
        pix: &EndToEndId,
        id: &RefundId,
        amount: Centavos,
    ) -> Outcome<RefundFound> {
        let now = self.wall();
        self.watch_refund_sent(pix, id);
        match self.provider.books.refund(pix, id, amount, now) {
            Ok(_) => {}
            Err(Refusal::DuplicateRefund) => return refused(400, "devolucao_id_duplicado"),
            Err(refusal) => {
                self.watch_refund_refused(pix, refusal);
                return refused(400, "devolucao_invalida");
            }
        }
        let shown = self.show_refund(pix, id);
        self.made(Made::Refund, id.as_str());
        shown
    }

    fn show_refund(&self, pix: &EndToEndId, id: &RefundId) -> Outcome<RefundFound> {
        let receipt = self.provider.books.receipt(pix);
        let Some(refund) = receipt.and_then(|receipt| receipt.refund(id)) else {
            return not_found();
        };
        let seen = match refund.state {
            RefundState::Pending => RefundSeen::Pending,
            RefundState::Returned => RefundSeen::Returned,
            RefundState::Failed => RefundSeen::Failed,
        };
        Outcome::Done(RefundFound { amount: refund.value, seen })
    }

    fn make_send(&mut self, order: &SendOrder) -> Outcome<SentPayout> {
        let Some(from) = self.provider.key() else { return not_found() };
        self.watch_send(order);
        let (id, now) = (order.id(), self.wall());
        let (to, value) = (Some(order.key.clone()), order.amount);
        let wanted = PayoutOrder { value, from, to, document: None };
        match self.provider.books.send(&id, wanted, now) {
            Ok(_) => {}
            Err(Refusal::DuplicateSend) => return refused(409, "id_envio_duplicado"),
            Err(_) => return refused(422, "pagamento_negado"),
        }
        let shown = self.show_send(&id);
        self.made(Made::Send, id.as_str());
        shown
    }

    fn show_send(&self, id: &SendId) -> Outcome<SentPayout> {
        let Some(payout) = self.provider.books.payout(id) else { return not_found() };
        let returns = payout.returns.iter();
        let returns =
            returns.map(|part| Returned { id: part.return_id.clone(), amount: part.value });
        Outcome::Done(SentPayout {
            pix: payout.e2e_id.clone(),
            amount: payout.value,
            key: payout.to.clone(),
            state: match payout.state {
                PayoutState::Pending => SendState::Pending,
                PayoutState::Done => SendState::Done,
                PayoutState::Failed { .. } => SendState::Failed,
            },
            returns: returns.collect(),
        })
    }
}
