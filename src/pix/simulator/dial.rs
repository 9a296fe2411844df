//! The dial: which faults happen, to which call or callback, how often. Chance is seeded.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A state that no list has.
pub(super) const UNKNOWN_STATUS: &str = "EM_ANALISE_NOVA";

/// What goes wrong with a call of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum ApiFault {
    /// The connection is closed before anything is done.
    DropBefore,
    /// What is asked for is done, and the connection closed instead of answered.
    DropAfter,
    /// The answer comes so many real milliseconds late.
    Delay { ms: u64 },
    /// Another answer: before anything is done, or after it.
    Status {
        status: u16,
        #[serde(default)]
        after: bool,
    },
    /// Done, and half of the answer's JSON.
    Truncate,
    /// Done, and a status in the answer that no list has.
    UnknownStatus,
}

/// What goes wrong with a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum WebhookFault {
    /// Never sent.
    Lose,
    /// Sent twice.
    Duplicate,
    /// Sent behind the next one.
    Reorder,
    /// Sent so many milliseconds of the provider's clock later.
    Delay { ms: u64 },
    /// With a status that no list has.
    UnknownStatus,
}

/// Where a fault happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
enum Place {
    Api {
        /// Any, where there is none.
        method: Option<String>,
        /// Of the path; `*` stands for one part, at the end for all that follow.
        path: String,
        fault: ApiFault,
    },
    Webhook {
        fault: WebhookFault,
    },
}

/// One fault: where, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    #[serde(flatten)]
    place: Place,
    /// How often it still happens.
    #[serde(default = "once")]
    count: u32,
    /// How many it lets pass before.
    #[serde(default)]
    skip: u32,
    #[serde(default = "always")]
    chance_percent: u8,
    /// How often it has happened.
    #[serde(default, skip_deserializing)]
    hits: u32,
}

/// Every field of a fault.
const FIELDS: [&str; 7] = ["on", "method", "path", "fault", "count", "skip", "chance_percent"];

impl Fault {
    /// Reads a fault. A field that has no meaning is an error, not a fault that never happens.
    pub(super) fn read(form: &Value) -> Result<Self, String> {
        let mut names = form.as_object().into_iter().flat_map(serde_json::Map::keys);
        if let Some(name) = names.find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(format!("unknown field `{name}`"));
        }
        Self::deserialize(form).map_err(|error| error.to_string())
    }
}

const fn once() -> u32 {
    1
}

const fn always() -> u8 {
    100
}

pub(super) struct Dial {
    faults: Vec<Fault>,
    chance: StdRng,
}

impl Dial {
    pub(super) fn new(seed: u64) -> Self {
        Self { faults: Vec::new(), chance: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(super) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The fault of this call, if it has one; the first that fits.
    pub(super) fn of_call(&mut self, called: &str, parts: &[&str]) -> Option<ApiFault> {
        self.draw(|place| match place {
            Place::Api { method, path, fault } => {
                let same = method.as_ref().is_none_or(|method| method == called);
                (same && fits(path, parts)).then_some(*fault)
            }
            Place::Webhook { .. } => None,
        })
    }

    /// The fault of this callback, if it has one.
    pub(super) fn of_webhook(&mut self) -> Option<WebhookFault> {
        self.draw(|place| match place {
            Place::Webhook { fault } => Some(*fault),
            Place::Api { .. } => None,
        })
    }

    fn draw<T>(&mut self, fits: impl Fn(&Place) -> Option<T>) -> Option<T> {
        for fault in self.faults.iter_mut().filter(|fault| fault.count > 0) {
            let Some(drawn) = fits(&fault.place) else {
                continue;
            };
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if self.chance.random_range(0..100) < fault.chance_percent {
                fault.count -= 1;
                fault.hits += 1;
                return Some(drawn);
            }
        }
        None
    }
}

fn fits(pattern: &str, parts: &[&str]) -> bool {
    let pattern: Vec<_> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let same = |(wanted, part): (&&str, &&str)| *wanted == "*" || wanted == part;
    let open = pattern.last() == Some(&"*") && pattern.len() <= parts.len();
    (open || pattern.len() == parts.len()) && pattern.iter().zip(parts).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(faults: &[&str]) -> Dial {
        let mut dial = Dial::new(7);
        for fault in faults {
            let form = serde_json::from_str(fault).expect("JSON");
            dial.add(Fault::read(&form).expect("a fault"));
        }
        dial
    }

    #[test]
    fn a_fault_happens_where_it_fits_and_so_often_as_it_says() {
        let mut dial = dial(&[
            r#"{"on":"api","method":"PUT","path":"/v2/cob/*","fault":{"kind":"drop_after"},
                "count":2,"skip":1}"#,
        ]);
        let cob = ["v2", "cob", "1"];
        assert_eq!(dial.of_call("GET", &cob), None);
        assert_eq!(dial.of_call("PUT", &["v2", "cob"]), None);
        assert_eq!(dial.of_call("PUT", &cob), None, "the first passes");
        assert_eq!(dial.of_call("PUT", &cob), Some(ApiFault::DropAfter));
        assert_eq!(dial.of_call("PUT", &cob), Some(ApiFault::DropAfter));
        assert_eq!(dial.of_call("PUT", &cob), None);
        assert_eq!((dial.faults()[0].hits, dial.of_webhook()), (2, None));
    }

    #[test]
    fn a_misspelt_fault_is_refused() {
        for wrong in [
            r#"{"on":"webhook","fault":{"kind":"lose"},"counts":2}"#,
            r#"{"on":"webhook","fault":{"kind":"truncate"}}"#,
            r#"{"on":"api","fault":{"kind":"truncate"}}"#,
            r#"{"on":"sms","fault":{"kind":"lose"}}"#,
            "[]",
        ] {
            let form = serde_json::from_str(wrong).expect("JSON");
            assert!(Fault::read(&form).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_stand_for_parts_of_a_path() {
        let parts = ["v2", "pix", "E1", "devolucao", "a"];
        assert!(fits("/v2/pix/*/devolucao/*", &parts) && fits("/v2/pix/*", &parts));
        assert!(fits("/*", &parts) && !fits("/v2/pix/*/devolucao", &parts));
        assert!(!fits("/v2/cob/*", &parts));
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed() {
        let fault = r#"{"on":"webhook","fault":{"kind":"lose"},"count":1000,"chance_percent":30}"#;
        let drawn =
            |mut dial: Dial| (0..200).map(|_| dial.of_webhook().is_some()).collect::<Vec<_>>();
        let first = drawn(dial(&[fault]));
        assert_eq!(first, drawn(dial(&[fault])));
        assert!((30..90).contains(&first.iter().filter(|hit| **hit).count()));
    }
}
