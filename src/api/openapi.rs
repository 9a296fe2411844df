//! The served description of this interface: `docs/openapi.json`, written by hand, compared with
//! the routes by a test.

/// OpenAPI 3.1.
pub(super) const TEXT: &str = include_str!("../../docs/openapi.json");
