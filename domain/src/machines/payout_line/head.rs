//! What comes before a send: whether it may be paid, then its wallet's record that it goes out.

use super::{ANSWER_WITHIN, PayoutCall, PayoutLineMachine, Turn, Waiting, WalletInput};
use crate::machines::{Effect, Note};
use crate::mutants::{Mutant, is};
use crate::payout::Cleared;
use crate::units::{Millis, UnixMillis};

/// How long a wallet is waited for. It tells of its payout again.
const RECORDED_WITHIN: Millis = Millis::from_secs(15);

/// How far the first that waits has come.
pub(super) enum Head {
    Clearing { call: u64, since: UnixMillis },
    Recording { since: UnixMillis },
}

impl<R> PayoutLineMachine<R> {
    /// Brings the first that waits closer to its send. When to look again.
    pub(super) fn start_next(&mut self, turn: &mut Turn<'_, R>) -> Option<UnixMillis> {
        match self.head {
            Some(Head::Clearing { since, .. }) if turn.now >= since + ANSWER_WITHIN => {
                self.head = None;
            }
            Some(Head::Recording { since }) if turn.now >= since + RECORDED_WITHIN => {
                self.head = None;
                self.waiting.pop_front();
            }
            Some(Head::Clearing { since, .. }) => return Some(since + ANSWER_WITHIN),
            Some(Head::Recording { since }) => return Some(since + RECORDED_WITHIN),
            None => {}
        }
        self.pauses_until.take_if(|until| turn.now >= *until);
        if self.is_held() || self.pauses_until.is_some() {
            return self.pauses_until;
        }
        let amount = self.waiting.front()?.amount;
        self.calls += 1;
        self.head = Some(Head::Clearing { call: self.calls, since: turn.now });
        turn.effect(Effect::Payout(self.calls, PayoutCall::Clear(amount)));
        Some(turn.now + ANSWER_WITHIN)
    }

    /// Whether one is on its way that is waited for.
    fn is_held(&self) -> bool {
        (self.holder.is_some() || !self.beside.is_empty()) && !is(Mutant::SendTwo)
    }

    /// Whether the first that waits may be paid.
    pub(super) fn cleared(&mut self, turn: &mut Turn<'_, R>, call: u64, cleared: Cleared) {
        if !matches!(self.head, Some(Head::Clearing { call: asked, .. }) if asked == call) {
            return;
        }
        self.head = None;
        let Some(Waiting { payout, driver, .. }) = self.waiting.front().copied() else { return };
        if self.is_held() {
            return;
        }
        if cleared != Cleared::Yes {
            turn.note(Note::PayoutsWait { why: cleared });
            self.pauses_until = Some(turn.now + self.policy.looked_every);
        } else if self.ways.contains_key(&payout) {
            // Recorded long ago: it waited for the line, or was set aside and turned out not to
            // have been sent.
            self.waiting.pop_front();
            self.holder = Some((payout, turn.now));
        } else {
            self.head = Some(Head::Recording { since: turn.now });
            turn.tell_wallet(driver, WalletInput::Turn { payout });
        }
    }
}
