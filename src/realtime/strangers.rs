//! Strangers: connections on which no good hello came yet. Each costs memory and proved nothing, so
//! there are only so many at once, of one address and of all; who comes beyond is refused before a
//! socket is made of his request. Those who proved who they are go on to the turnstile.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::network::network;

/// How many may be there at once.
#[derive(Debug, Clone, Copy)]
pub struct StrangersMax {
    pub all: usize,
    pub of_one_address: usize,
}

pub(super) struct Strangers {
    most: StrangersMax,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    all: usize,
    /// Only addresses from which somebody is there.
    by_address: HashMap<IpAddr, usize>,
}

/// A place among the strangers, until dropped.
pub(super) struct Stranger {
    strangers: Arc<Strangers>,
    address: IpAddr,
}

impl Strangers {
    pub(super) fn new(most: StrangersMax) -> Arc<Self> {
        Arc::new(Self { most, present: Mutex::default() })
    }

    /// A place for one from this address; `None` where there are too many.
    pub(super) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Stranger> {
        let address = network(address);
        let mut present = self.present.lock();
        let here = present.by_address.get(&address).copied().unwrap_or(0);
        if present.all >= self.most.all || here >= self.most.of_one_address {
            return None;
        }
        present.all += 1;
        present.by_address.insert(address, here + 1);
        Some(Stranger { strangers: Arc::clone(self), address })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut present = self.strangers.present.lock();
        present.all -= 1;
        if let Some(here) = present.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                present.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_and_who_leaves_makes_room() {
        let strangers = Strangers::new(StrangersMax { all: 3, of_one_address: 2 });
        let enter = |text: &str| strangers.enter(Some(text.parse().expect("an address")));
        let first = enter("10.0.0.1").expect("room");
        let _second = enter("10.0.0.1").expect("room");
        assert!(enter("10.0.0.1").is_none(), "one address does not take all the room");
        let _other = enter("10.0.0.2").expect("room");
        assert!(enter("10.0.0.3").is_none(), "all of it is taken");
        drop(first);
        assert!(enter("10.0.0.1").is_some());
        assert_eq!(strangers.present.lock().by_address.len(), 2);
    }

    #[test]
    fn nothing_is_kept_of_those_who_left() {
        let strangers = Strangers::new(StrangersMax { all: 3, of_one_address: 2 });
        drop(strangers.enter(None));
        let present = strangers.present.lock();
        assert_eq!((present.all, present.by_address.len()), (0, 0));
    }
}
