//! Windows and pages of lists, as they are asked for.

use std::collections::BTreeMap;

use actix_web::web;
use ibora_domain::units::UnixMillis;

use super::answer::Answer;
use crate::pix::wire::{Listing, PageQuery, Paging, Parameters, Row, moment_of};

const PER_PAGE: u32 = 100;
const KIND: &str = "ConsultaInvalida";

/// The parameters of a query.
pub(super) struct Query(BTreeMap<String, String>);

/// A window, and a page of it.
pub(super) struct Window(PageQuery);

impl Query {
    pub(super) fn read(text: &str) -> Result<Self, Answer> {
        let read = web::Query::<BTreeMap<String, String>>::from_query(text);
        read.map(|query| Self(query.into_inner())).map_err(|_| Answer::malformed())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Answer> {
        let parsed = self.get(name).map(|text| text.parse().map_err(|_| wrong(name)));
        parsed.transpose()
    }

    pub(super) fn window(&self) -> Result<Window, Answer> {
        let moment = |name| self.get(name).and_then(moment_of).ok_or_else(|| wrong(name));
        let number = |name, default| match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse::<u32>().map_err(|_| wrong(name)),
        };
        let (from, to) = (moment("inicio")?, moment("fim")?);
        let page = number("paginacao.paginaAtual", 0)?;
        let per_page = number("paginacao.itensPorPagina", PER_PAGE)?;
        if to < from {
            return Err(wrong("fim"));
        }
        if !(1..=PageQuery::PER_PAGE_MAX).contains(&per_page) {
            return Err(wrong("paginacao.itensPorPagina"));
        }
        Ok(Window(PageQuery { from, to, page, per_page }))
    }
}

impl Window {
    pub(super) fn has(&self, at: UnixMillis) -> bool {
        (self.0.from..=self.0.to).contains(&at)
    }

    /// The page of these rows, which come with their times.
    pub(super) fn page<T>(&self, mut rows: Vec<(UnixMillis, T)>) -> Listing<T> {
        rows.retain(|(at, _)| self.has(*at));
        rows.sort_by_key(|(at, _)| *at);
        let PageQuery { from, to, page, per_page } = self.0;
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let pages = count.div_ceil(per_page).max(1);
        let paging = Paging { page, per_page, pages, rows: u64::from(count) };
        let before = page.saturating_mul(per_page) as usize;
        let rows = rows.into_iter().skip(before).take(per_page as usize);
        let parameters = Parameters { from: Some(from), to: Some(to), paging };
        Listing { parameters, rows: rows.map(|(_, row)| Row::Read(row)).collect() }
    }
}

fn wrong(name: &str) -> Answer {
    Answer::violation(KIND, name, "Parâmetro ausente ou inválido.")
}
