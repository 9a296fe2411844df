//! The inbox in the model: what the provider told, each thing once, and how far it has come.
//!
//! As `src/journal/inbox.rs` and `notices.rs` write it: in no batch and under no fence, for writing
//! it again changes nothing.

use std::collections::BTreeMap;

use ibora_domain::pix::{EndToEndId, Txid};
use ibora_domain::provider::{Fate, NoticeKey, Told};

use crate::queue::{Micros, SECOND};

/// How long after each look the next one is.
const LOOKS: [Micros; 5] = [SECOND, 3 * SECOND, 10 * SECOND, 60 * SECOND, 600 * SECOND];

/// How far a notice has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    New,
    /// Handed on, and perhaps parked since.
    Waits,
}

/// A notice as it is kept.
#[derive(Debug, Clone)]
pub struct NoticeRec {
    pub pix: EndToEndId,
    /// Of the charge that was paid, where it says so.
    pub txid: Option<Txid>,
    pub told: Told,
    stands: Stands,
    pub tries: i32,
    due: Micros,
    /// The provider says so itself.
    pub confirmed: bool,
}

/// The notices: those that wait for something, and those that have ended, with whether each was
/// taken for forged.
#[derive(Debug, Default)]
pub struct Inbox {
    open: BTreeMap<NoticeKey, NoticeRec>,
    ended: BTreeMap<NoticeKey, bool>,
}

impl NoticeRec {
    #[must_use]
    pub const fn new(pix: EndToEndId, txid: Option<Txid>, told: Told) -> Self {
        Self { pix, txid, told, stands: Stands::New, tries: 0, due: 0, confirmed: false }
    }
}

impl Inbox {
    /// Takes a notice down; whether it is new. `listed`: the provider's own list says so.
    pub fn tell(&mut self, key: NoticeKey, mut notice: NoticeRec, listed: bool) -> bool {
        let is_known = match self.ended.get(&key) {
            Some(forged) => !(*forged && listed),
            None => self.open.contains_key(&key),
        };
        if !is_known {
            notice.confirmed = listed;
            self.ended.remove(&key);
            self.open.insert(key, notice);
        }
        !is_known
    }

    /// What an earlier start left: whatever was handed on then, nobody remembers.
    pub fn take_up(&mut self) {
        for notice in self.open.values_mut().filter(|notice| notice.stands == Stands::Waits) {
            (notice.stands, notice.due) = (Stands::New, 0);
        }
    }

    /// Takes what is due at `now`: those that are new, or those that wait.
    pub fn take(&mut self, new: bool, now: Micros) -> Vec<(NoticeKey, NoticeRec)> {
        let wanted = if new { Stands::New } else { Stands::Waits };
        let due = self.open.iter_mut();
        let due = due.filter(|(_, notice)| notice.stands == wanted && notice.due <= now);
        due.map(|(key, notice)| {
            notice.stands = Stands::Waits;
            notice.tries += 1;
            let at = usize::try_from(notice.tries).unwrap_or(0).min(LOOKS.len());
            notice.due = now + LOOKS[at.saturating_sub(1)];
            (key.clone(), notice.clone())
        })
        .collect()
    }

    /// Says what becomes of a notice.
    pub fn settle(&mut self, key: &NoticeKey, fate: Fate) {
        if fate != Fate::Parked {
            if let Some((key, _)) = self.open.remove_entry(key) {
                self.ended.insert(key, fate == Fate::Forged);
            }
        } else if let Some(notice) = self.open.get_mut(key) {
            notice.confirmed = true;
        }
    }

    /// When the next one is due, of those that wait for something.
    #[must_use]
    pub fn next(&self) -> Option<Micros> {
        self.open.values().map(|notice| notice.due).min()
    }

    /// Those that wait for something.
    pub fn waiting(&self) -> impl Iterator<Item = &NoticeRec> {
        self.open.values()
    }
}
