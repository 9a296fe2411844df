//! What all of the simulator shares: one lock around books, clock, dial and callbacks.
//!
//! Whoever changes the books calls [`State::pump`] afterwards; it turns what is to be told into
//! callbacks. [`Core::changed`] wakes the postman.

use std::collections::BTreeMap;

use ibora_domain::pix::{PixKey, Txid};
use ibora_domain::units::{Millis, UnixMillis};
use ibora_psp::{Books, Deliveries, Notice};
use parking_lot::{Mutex, MutexGuard};
use rustls::ClientConfig;
use tokio::sync::Notify;

use super::SimulatorOptions;
use super::clock::Clock;
use super::dial::{Dial, WebhookFault};
use super::outgoing::{HttpsClient, client};
use super::tokens::Tokens;
use crate::pix::wire::{Note, Party, Personal};

/// How far a callback stays behind the one that passes it.
const OVERTAKEN: Millis = Millis(500);

pub(super) struct Core {
    state: Mutex<State>,
    wake: Notify,
    /// With the provider's certificate.
    pub(super) known: HttpsClient,
    /// With none.
    pub(super) nameless: HttpsClient,
}

pub(super) struct State {
    pub(super) books: Books,
    pub(super) clock: Clock,
    pub(super) dial: Dial,
    pub(super) tokens: Tokens,
    pub(super) texts: BTreeMap<Txid, ChargeTexts>,
    pub(super) hooks: BTreeMap<PixKey, Hook>,
    pub(super) deliveries: Deliveries<Letter>,
    /// Elements of one callback; fewer wait for more.
    pub(super) batch: usize,
    /// Whether Pix without a reference are told.
    pub(super) tells_strays: bool,
    gathering: BTreeMap<PixKey, Vec<Notice>>,
    /// A callback that waits for the next one to pass it.
    held_back: Option<Letter>,
}

/// What a charge says beside its money.
#[derive(Debug, Clone, Default)]
pub(super) struct ChargeTexts {
    pub(super) debtor: Option<Party>,
    pub(super) message: Option<Personal>,
    pub(super) notes: Vec<Note>,
}

/// Where the callbacks of a key go.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) url: String,
    pub(super) created: UnixMillis,
}

/// One callback.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) key: PixKey,
    pub(super) notices: Vec<Notice>,
    pub(super) unknown_status: bool,
}

impl Core {
    pub(super) fn new(options: &SimulatorOptions, tls: [ClientConfig; 2]) -> Self {
        let [known, nameless] = tls.map(client);
        let state = State {
            books: Books::new(options.rules),
            clock: Clock::new(options.speed),
            dial: Dial::new(options.seed),
            tokens: Tokens::new(options.credentials.clone()),
            texts: BTreeMap::new(),
            hooks: BTreeMap::new(),
            deliveries: Deliveries::default(),
            batch: 1,
            tells_strays: false,
            gathering: BTreeMap::new(),
            held_back: None,
        };
        Self { state: Mutex::new(state), wake: Notify::new(), known, nameless }
    }

    /// The state, with everything done that was due.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.pump();
        state
    }

    /// Says that something may be due earlier than it was.
    pub(super) fn changed(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn until_changed(&self) {
        self.wake.notified().await;
    }
}

impl State {
    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Lets happen what is due, and makes callbacks of what is to be told.
    pub(super) fn pump(&mut self) {
        self.books.tick(self.clock.now());
        for notice in self.books.take_notices().collect::<Vec<_>>() {
            self.tell(notice);
        }
    }

    /// Tells something, unless nobody wants to know.
    pub(super) fn tell(&mut self, notice: Notice) {
        let Some((key, stray)) = self.key_of(&notice) else {
            return;
        };
        if !self.hooks.contains_key(&key) || stray && !self.tells_strays {
            return;
        }
        let gathered = self.gathering.entry(key.clone()).or_default();
        gathered.push(notice);
        if gathered.len() >= self.batch {
            let notices = std::mem::take(gathered);
            self.post(Letter { key, notices, unknown_status: false });
        }
    }

    /// Sends what waits for more.
    pub(super) fn flush(&mut self) {
        for (key, notices) in std::mem::take(&mut self.gathering) {
            if !notices.is_empty() {
                self.post(Letter { key, notices, unknown_status: false });
            }
        }
        if let Some(letter) = self.held_back.take() {
            self.deliveries.add(letter, self.clock.now());
        }
    }

    fn post(&mut self, mut letter: Letter) {
        let now = self.clock.now();
        let (mut at, mut copies) = (now, 1);
        match self.dial.of_webhook() {
            Some(WebhookFault::Lose) => return,
            Some(WebhookFault::Duplicate) => copies = 2,
            Some(WebhookFault::Delay { ms }) => at = now + Millis(ms),
            Some(WebhookFault::UnknownStatus) => letter.unknown_status = true,
            Some(WebhookFault::Reorder) => {
                let before = self.held_back.replace(letter);
                before.map(|before| self.deliveries.add(before, now));
                return;
            }
            None => {}
        }
        for _ in 0..copies {
            self.deliveries.add(letter.clone(), at);
        }
        if let Some(letter) = self.held_back.take() {
            self.deliveries.add(letter, now + OVERTAKEN);
        }
    }

    /// The key of ours that a notice is about, and whether it is a Pix without a reference.
    fn key_of(&self, notice: &Notice) -> Option<(PixKey, bool)> {
        match notice {
            Notice::Received { e2e_id } | Notice::Refunded { e2e_id, .. } => {
                let receipt = self.books.receipt(e2e_id)?;
                Some((receipt.key.clone(), receipt.txid.is_none()))
            }
            Notice::Sent { send } | Notice::Returned { send, .. } => {
                Some((self.books.payout(send)?.from.clone(), false))
            }
        }
    }

    /// When the postman has to look again.
    pub(super) fn next_due(&self) -> Option<UnixMillis> {
        let dues = [self.books.next_due(), self.deliveries.next_due()];
        dues.into_iter().flatten().min()
    }
}
