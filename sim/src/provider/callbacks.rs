//! What the provider tells of itself: callbacks, and the list of everything for who asks.

use ibora_domain::pix::{EndToEndId, SendId};
use ibora_domain::provider::{NoticeKey, Told};
use ibora_psp::{Notice, Payout, PayoutState, Receipt, RefundState};

use super::{Made, ProviderEvent};
use crate::database::NoticeRec;
use crate::engine::Engine;
use crate::queue::{MS, SECOND};
use crate::tell;
use crate::world::{Event, World};

/// How often a callback is brought that nobody takes.
const KNOCKS_MAX: u32 = 3;

/// A callback on its way.
#[derive(Debug, Clone)]
pub struct Knock {
    what: (NoticeKey, NoticeRec),
    tries: u32,
}

fn of_receipt(receipt: &Receipt) -> (NoticeKey, NoticeRec) {
    let pix = receipt.e2e_id.clone();
    let key = NoticeKey::new("PIX_RECEBIDO", pix.clone(), ("", ""));
    (key, NoticeRec::new(pix, receipt.txid.clone(), Told::Received))
}

fn of_refund(receipt: &Receipt, refund: &ibora_psp::Refund) -> (NoticeKey, NoticeRec) {
    let pix = receipt.e2e_id.clone();
    let done = refund.state == RefundState::Returned;
    let status = if done { "DEVOLVIDO" } else { "NAO_REALIZADO" };
    let key = NoticeKey::new("DEVOLUCAO_ENVIADA", pix.clone(), (refund.id.as_str(), status));
    let told = Told::Refunded { id: refund.id.as_str().to_owned(), done };
    (key, NoticeRec::new(pix, receipt.txid.clone(), told))
}

fn of_send(payout: &Payout) -> (NoticeKey, NoticeRec) {
    let pix = payout.e2e_id.clone();
    let done = payout.state == PayoutState::Done;
    let status = if done { "REALIZADO" } else { "NAO_REALIZADO" };
    let key = NoticeKey::new("PIX_ENVIADO", pix.clone(), ("", status));
    let told = Told::Sent { id: Some(payout.id.clone()), done: Some(done) };
    (key, NoticeRec::new(pix, None, told))
}

fn of_return(payout: &Payout, at: usize) -> Option<(NoticeKey, NoticeRec)> {
    let id = payout.returns.get(at)?.return_id.as_str();
    let pix = payout.e2e_id.clone();
    let key = NoticeKey::new("DEVOLUCAO_RECEBIDA", pix.clone(), (id, "DEVOLVIDO"));
    let told = Told::Returned { id: id.to_owned(), done: true };
    Some((key, NoticeRec::new(pix, None, told)))
}

impl World {
    /// A callback sets out, unless it is lost; it may come twice.
    pub(super) fn call_back(&mut self, notice: &Notice) {
        let books = &self.provider.books;
        let what = match notice {
            Notice::Received { e2e_id } => books.receipt(e2e_id).map(of_receipt),
            Notice::Refunded { e2e_id, refund } => books
                .receipt(e2e_id)
                .and_then(|receipt| Some(of_refund(receipt, receipt.refund(refund)?))),
            Notice::Sent { send } => books.payout(send).map(of_send),
            Notice::Returned { send, at } => {
                books.payout(send).and_then(|payout| of_return(payout, *at))
            }
        };
        let Some(what) = what else { return };
        if self.provider.mute_until > self.now && self.chance.percent(70) {
            tell!(self, "psp: a callback is lost: {notice:?}");
            return;
        }
        let odd = self.provider.stutters_until > self.now;
        for _ in 0..if odd { 1 + self.chance.below(3) } else { 1 } {
            let slowest = if odd { 40 * SECOND } else { 2 * SECOND };
            let after = self.chance.between(50 * MS, slowest);
            let knock = Knock { what: what.clone(), tries: 0 };
            self.at(self.now + after, Event::Provider(ProviderEvent::Knock(Box::new(knock))));
        }
    }

    /// A callback is brought to a node. One that takes it has it on disk.
    pub(super) fn knock(&mut self, mut knock: Knock) {
        let node = self.chance.index(self.nodes.len());
        let there = self.nodes[node].alone_until <= self.now
            && self.nodes[node].paused_until <= self.now
            && !self.nodes[node].is_cut_off(self.now)
            && self.nodes[node].acts(self.steady());
        if !there {
            knock.tries += 1;
            if knock.tries < KNOCKS_MAX * 2 {
                let after = self.chance.between(SECOND, 15 * SECOND);
                self.at(self.now + after, Event::Provider(ProviderEvent::Knock(Box::new(knock))));
            }
            return;
        }
        let (key, notice) = knock.what;
        tell!(self, "n{node} is told {:?} of {}", notice.told, notice.pix);
        self.db.inbox.tell(key, notice, false);
        self.with_engine(node, Engine::inbox_news);
    }

    /// Everything that the provider's lists tell.
    #[must_use]
    pub fn listed(&self) -> Vec<(NoticeKey, NoticeRec)> {
        let mut listed = Vec::new();
        for receipt in self.provider.books.receipts() {
            if self.is_hidden_pix(&receipt.e2e_id) {
                continue;
            }
            listed.push(of_receipt(receipt));
            let ended = receipt.refunds.iter().filter(|refund| refund.settled.is_some());
            listed.extend(ended.map(|refund| of_refund(receipt, refund)));
        }
        for payout in self.provider.books.payouts().filter(|payout| payout.settled.is_some()) {
            listed.push(of_send(payout));
            listed.extend((0..payout.returns.len()).filter_map(|at| of_return(payout, at)));
        }
        listed
    }

    /// The payout of which this came back; a callback names it.
    #[must_use]
    pub fn sent_of_return(&self, id: &str) -> Option<SendId> {
        let is_it =
            |payout: &&Payout| payout.returns.iter().any(|part| part.return_id.as_str() == id);
        self.provider.books.payouts().find(is_it).map(|payout| payout.id.clone())
    }

    fn is_hidden_pix(&self, pix: &EndToEndId) -> bool {
        self.is_hidden(Made::Pix, pix.as_str())
    }

    /// Whether the provider knows what a notice tells; nothing, where it cannot be asked.
    pub fn knows(&mut self, notice: &NoticeRec) -> Option<bool> {
        let down = self.provider.down_until > self.now;
        if down || self.provider.shaky_until > self.now && self.chance.percent(45) {
            return None;
        }
        let books = &self.provider.books;
        Some(match &notice.told {
            Told::Received => {
                books.receipt(&notice.pix).is_some() && !self.is_hidden_pix(&notice.pix)
            }
            Told::Refunded { id, .. } => books.receipt(&notice.pix).is_some_and(|receipt| {
                receipt.refunds.iter().any(|refund| refund.id.as_str() == id)
            }),
            Told::Sent { id, .. } => id.as_ref().is_some_and(|id| books.payout(id).is_some()),
            Told::Returned { id, .. } => books
                .payouts()
                .any(|payout| payout.returns.iter().any(|part| part.return_id.as_str() == id)),
        })
    }

    /// Somebody who is not the provider says that a Pix came in, for a charge that there is.
    pub(super) fn forge(&mut self, whom: usize) {
        let open = self.db.money.charges.values().filter(|charge| charge.status == "live");
        let open: Vec<_> = open.map(|charge| charge.txid.clone()).collect();
        let Some(txid) = open.get(whom % open.len().max(1)).cloned() else { return };
        let Ok(pix) = EndToEndId::parse(&format!("Eforged{whom}")) else { return };
        let key = NoticeKey::new("PIX_RECEBIDO", pix.clone(), ("", ""));
        let what = (key, NoticeRec::new(pix, Some(txid), Told::Received));
        let knock = Box::new(Knock { what, tries: 0 });
        self.at(self.now, Event::Provider(ProviderEvent::Knock(knock)));
    }
}
