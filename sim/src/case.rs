//! A case: a seed, a profile and a list of faults, as text that can be kept and run again.

use std::fmt::Write as _;

use thiserror::Error;

use crate::faults::{Fault, Profile, plan};

/// Raised by every change after which a seed is another run. A case of another version would run,
/// and show something else than whoever kept it saw.
pub const VERSION: u32 = 8;

const HEADER: &str = "ibora-sim case";

/// A run that can be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub seed: u64,
    pub profile: Profile,
    pub faults: Vec<Fault>,
}

/// Why a text is no case.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CaseError {
    #[error("no case: the first line is not `{HEADER} VERSION`")]
    Header,
    #[error(
        "a case of version {found}; this simulator runs version {VERSION}. Run it with the \
             commit that made it, or find the seed anew"
    )]
    Version { found: u32 },
    #[error("line {line}: {why}")]
    Line { line: usize, why: String },
}

impl Case {
    /// The case of a seed, with all its faults.
    #[must_use]
    pub fn of(seed: u64, profile: Profile) -> Self {
        Self { seed, profile, faults: plan(seed, &profile) }
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{HEADER} {VERSION}\n");
        let _ = writeln!(text, "seed {}\nprofile {}", self.seed, self.profile.name);
        for fault in &self.faults {
            let _ = writeln!(text, "{fault}");
        }
        text
    }

    /// Reads a case.
    ///
    /// # Errors
    /// [`CaseError`]; a case of another version is refused before anything else is read of it.
    pub fn parse(text: &str) -> Result<Self, CaseError> {
        let mut lines = text.lines().enumerate();
        let version = lines.next().and_then(|(_, first)| first.strip_prefix(HEADER));
        let version = version.and_then(|version| version.trim().parse::<u32>().ok());
        match version.ok_or(CaseError::Header)? {
            VERSION => {}
            found => return Err(CaseError::Version { found }),
        }
        let (mut seed, mut profile, mut faults) = (None, None, Vec::new());
        for (number, line) in lines {
            let failed = |why: String| CaseError::Line { line: number + 1, why };
            match line.split_once(' ') {
                Some(("seed", value)) => {
                    seed = Some(value.parse().map_err(|_| failed("no seed".to_owned()))?);
                }
                Some(("profile", name)) => profile = Some(name.parse().map_err(failed)?),
                Some(_) => faults.push(line.parse().map_err(failed)?),
                None if line.is_empty() => {}
                None => return Err(failed(format!("`{line}` says nothing"))),
            }
        }
        let missing = |what: &str| CaseError::Line { line: 1, why: format!("no {what} is named") };
        Ok(Self {
            seed: seed.ok_or_else(|| missing("seed"))?,
            profile: profile.ok_or_else(|| missing("profile"))?,
            faults,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_kept_and_read_back() {
        for profile in Profile::ALL {
            let case = Case::of(7, profile);
            assert_eq!(Case::parse(&case.text()), Ok(case));
        }
    }

    #[test]
    fn a_case_of_another_version_or_of_no_sense_is_refused() {
        let old = format!("{HEADER} 0\nseed 7\n");
        assert_eq!(Case::parse(&old), Err(CaseError::Version { found: 0 }));
        assert_eq!(Case::parse("seed 7"), Err(CaseError::Header));
        let line = |text: &str| {
            let text = format!("{HEADER} {VERSION}\nseed 7\nprofile storm\n{text}\n");
            matches!(Case::parse(&text), Err(CaseError::Line { line: 4, .. }))
        };
        assert!(line("fault x crash 1 1") && line("fault 1 flood 1 1") && line("nothing"));
        let text = format!("{HEADER} {VERSION}\nseed 7\n");
        assert!(Case::parse(&text).is_err(), "no profile");
    }
}
