//! A field that is not valid: one shape for REST, sessions and accounts.

use std::borrow::Cow;

use serde::Serialize;

use crate::person::PersonError;

/// A path of some names: more than one is put before another, and none of them moves it.
const PATH_ROOM: usize = 32;

/// One field that is not valid, in the shape of the public contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where it stands: `pickup.lat`, `stops.0`; empty for the body as a whole.
    pub field: Cow<'static, str>,
    /// A stable name; `docs/problems.md` lists them.
    pub code: &'static str,
    /// A sentence for people. It never repeats what was sent.
    pub detail: Cow<'static, str>,
}

impl FieldError {
    /// A fault of `field`.
    #[must_use]
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), code, detail: detail.into() }
    }

    /// A fault of the value as a whole, of which only its reader knows the name.
    #[must_use]
    pub fn whole(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new("", code, detail)
    }

    /// The same fault, seen from the object in which the value is called `name`.
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        match &mut self.field {
            Cow::Owned(path) if !path.is_empty() => {
                path.insert(0, '.');
                path.insert_str(0, name);
            }
            path => {
                let mut longer = String::with_capacity(PATH_ROOM);
                longer.push_str(name);
                if !path.is_empty() {
                    longer.push('.');
                    longer.push_str(path);
                }
                self.field = longer.into();
            }
        }
        self
    }
}

impl From<PersonError> for FieldError {
    fn from(error: PersonError) -> Self {
        Self::new(error.field(), error.code(), error.to_string())
    }
}
