//! Lists, page by page.
//!
//! Rows come while a list is read, and may move to a page that was read already. So a list whose
//! length changes is read again from its first page: rows come twice rather than never, and whoever
//! reads takes each once, by its id.

use std::marker::PhantomData;

use ibora_domain::provider::{Outcome, Window};
use serde::de::DeserializeOwned;

use super::Provider;
use super::calls::Call;
use crate::pix::wire::{Listing, PageQuery, Row};

/// Readings of one list from its first page. A list that grows all the time is at its end one day.
const READINGS_MAX: u32 = 4;
/// Rows of a page: few enough for one answer, enough to be few calls.
const PER_PAGE: u32 = 500;

/// The pages of a list.
pub struct Pages<'a, T> {
    provider: &'a Provider,
    op: &'static str,
    path: &'static str,
    filter: String,
    window: Window,
    at: Option<u32>,
    /// Rows in all, as the first page said.
    rows: Option<u64>,
    readings: u32,
    of: PhantomData<fn() -> T>,
}

impl<'a, T> Pages<'a, T>
where
    Listing<T>: DeserializeOwned,
{
    pub(super) fn new(
        provider: &'a Provider,
        op: &'static str,
        path: &'static str,
        window: Window,
    ) -> Self {
        let (filter, rows, of) = (String::new(), None, PhantomData);
        Self { provider, op, path, filter, window, at: Some(0), rows, readings: 1, of }
    }

    pub(super) fn filtered(mut self, filter: Option<&str>) -> Self {
        self.filter.push_str(filter.unwrap_or_default());
        self
    }

    /// The next page; `None` after the last. After an outcome that is not done the same page is
    /// asked for again.
    pub async fn next(&mut self) -> Option<Outcome<Vec<Row<T>>>> {
        let page = self.at?;
        let Window { from, to } = self.window;
        let query = PageQuery { from, to, page, per_page: PER_PAGE }.to_query();
        let path = format!("{}?{query}{}", self.path, self.filter);
        let listing: Outcome<Listing<T>> = self.provider.ask(Call::get(self.op, path)).await;
        Some(listing.map(|listing| {
            let paging = listing.parameters.paging;
            let changed = self.rows.is_some_and(|rows| rows != paging.rows);
            if changed && self.readings < READINGS_MAX {
                (self.at, self.rows, self.readings) = (Some(0), None, self.readings + 1);
            } else {
                // By our own count: an answer that says another page must not turn us in circles.
                self.at = (page + 1 < paging.pages).then_some(page + 1);
                self.rows = Some(paging.rows);
            }
            listing.rows
        }))
    }

    /// All rows.
    ///
    /// # Errors
    /// The first page that is not there, as the outcome of the whole.
    pub async fn all(mut self) -> Outcome<Vec<Row<T>>> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await {
            match page {
                Outcome::Done(rows) => all.extend(rows),
                other => return other,
            }
        }
        Outcome::Done(all)
    }
}
