//! Lists: how they are asked for and how they come, page by page.

use std::fmt;

use ibora_domain::units::UnixMillis;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::account::{Infraction, Webhook};
use super::charge::Charge;
use super::received::Received;
use super::send::Sent;
use super::text::moment_option;

/// Which page of which window; filters are further parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery {
    pub from: UnixMillis,
    pub to: UnixMillis,
    /// From 0.
    pub page: u32,
    pub per_page: u32,
}

impl PageQuery {
    /// The most rows of a page.
    pub const PER_PAGE_MAX: u32 = 1000;

    /// The parameters of the query, none of which needs escaping.
    #[must_use]
    pub fn to_query(&self) -> String {
        let Self { from, to, page, per_page } = self;
        format!(
            "inicio={from}&fim={to}\
             &paginacao.paginaAtual={page}&paginacao.itensPorPagina={per_page}"
        )
    }
}

/// What was asked for, as the answer repeats it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    #[serde(rename = "inicio", with = "moment_option", default)]
    pub from: Option<UnixMillis>,
    #[serde(rename = "fim", with = "moment_option", default)]
    pub to: Option<UnixMillis>,
    #[serde(rename = "paginacao")]
    pub paging: Paging,
}

/// Where in the list a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    #[serde(rename = "paginaAtual")]
    pub page: u32,
    #[serde(rename = "itensPorPagina")]
    pub per_page: u32,
    #[serde(rename = "quantidadeDePaginas")]
    pub pages: u32,
    #[serde(rename = "quantidadeTotalDeItens")]
    pub rows: u64,
}

impl Paging {
    /// Whether there is another page behind this one.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.page.saturating_add(1) < self.pages
    }
}

/// A row of a list. One that makes no sense does not hide the others.
#[derive(Clone, PartialEq, Eq)]
pub enum Row<T> {
    Read(T),
    /// As it came; somebody has to look at it.
    Unread(Value),
}

impl<T> Row<T> {
    /// The row, if it made sense.
    #[must_use]
    pub const fn read(&self) -> Option<&T> {
        match self {
            Self::Read(row) => Some(row),
            Self::Unread(_) => None,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Row<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(row) => row.fmt(f),
            Self::Unread(_) => f.write_str("Unread(***)"),
        }
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(T::deserialize(&value).map_or(Self::Unread(value), Self::Read))
    }
}

impl<T: Serialize> Serialize for Row<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Read(row) => row.serialize(serializer),
            Self::Unread(value) => value.serialize(serializer),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    pub parameters: Parameters,
    pub rows: Vec<Row<T>>,
}

macro_rules! listings {
    ($($row:ident in $name:literal),*) => {$(
        impl<'de> Deserialize<'de> for Listing<$row> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                struct Shape {
                    #[serde(rename = "parametros")]
                    parameters: Parameters,
                    #[serde(rename = $name, default)]
                    rows: Option<Vec<Row<$row>>>,
                }
                let Shape { parameters, rows } = Shape::deserialize(deserializer)?;
                Ok(Self { parameters, rows: rows.unwrap_or_default() })
            }
        }

        impl Serialize for Listing<$row> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct as _;
                let mut shape = serializer.serialize_struct("Listing", 2)?;
                shape.serialize_field("parametros", &self.parameters)?;
                shape.serialize_field($name, &self.rows)?;
                shape.end()
            }
        }
    )*};
}

listings! {
    Charge in "cobs",
    Received in "pix",
    Sent in "pix",
    Webhook in "webhooks",
    Infraction in "infracoes"
}
