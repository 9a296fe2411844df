//! The served description of this interface: `docs/openapi.json`, written by hand and compared
//! with the routes by a test, roles and scopes included.

/// OpenAPI 3.1.
pub(super) const TEXT: &str = include_str!("../../docs/openapi.json");

/// AsyncAPI 3.0 of the session that `realtime` holds; the tests of sessions compare every frame.
pub(super) const SESSION_TEXT: &str = include_str!("../../docs/asyncapi.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::TEXT;
    use crate::api::entries;
    use crate::api::route::Access;

    /// `POST /v1/rides`, and who may: `null` for anybody, else roles and scope.
    type Routes = BTreeMap<String, Value>;

    fn described() -> Routes {
        let document: Value = serde_json::from_str(TEXT).expect("JSON");
        let mut routes = Routes::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                // Mounted by `realtime`, described in `docs/`; and by `app` for the Pix provider.
                if operation["x-websocket"] == true || operation["x-provider"] == true {
                    continue;
                }
                let security = operation["security"].as_array().expect("said for each");
                let who = security.first().map_or(
                    Value::Null,
                    |one| json!({ "roles": operation["x-roles"], "scope": one["bearer"][0] }),
                );
                routes.insert(format!("{} {path}", method.to_uppercase()), who);
            }
        }
        routes
    }

    fn routed() -> Routes {
        let entries = entries(true).into_iter();
        let route = |entry: crate::api::route::Entry| {
            let who = match &entry.access {
                Access::Probe(_) | Access::Public(_) | Access::Login(_) => Value::Null,
                Access::Known { roles, scope, .. } => json!({ "roles": roles, "scope": scope }),
            };
            (format!("{} {}", entry.method, entry.path), who)
        };
        entries.map(route).collect()
    }

    #[test]
    fn the_description_lists_every_route_and_who_may_call_it() {
        let (described, routed) = (described(), routed());
        for (route, who) in &routed {
            assert_eq!(described.get(route), Some(who), "{route} in docs/openapi.json");
        }
        for route in described.keys() {
            assert!(routed.contains_key(route), "{route} is described, but is no route");
        }
        assert_eq!(routed.len(), entries(true).len(), "a route twice");
    }

    /// What is open to anybody is few and known by name: a new route is not open by oversight.
    #[test]
    fn only_these_are_open() {
        let open = routed().into_iter().filter(|(_, who)| who.is_null()).map(|(route, _)| route);
        let expected = [
            "GET /asyncapi.json",
            "GET /health",
            "GET /metrics",
            "GET /openapi.json",
            "GET /ready",
            "POST /v1/auth/login",
            "POST /v1/auth/logout",
            "POST /v1/auth/refresh",
            "POST /v1/auth/register",
        ];
        assert_eq!(open.collect::<Vec<_>>(), expected);
    }

    /// A change needs `write` or `admin`; reading needs no more than `read` or `admin`.
    #[test]
    fn scopes_follow_the_method() {
        for (route, who) in routed() {
            let scope = who["scope"].as_str();
            let asks = route.starts_with("GET ") || route == "POST /v1/rides/estimate";
            let admins = who["roles"] == json!(["admin"]);
            let expected = match (admins, asks) {
                (true, _) => Some("admin"),
                (false, true) => Some("read"),
                (false, false) => Some("write"),
            };
            assert!(who.is_null() || scope == expected, "{route} needs {scope:?}");
        }
    }
}
