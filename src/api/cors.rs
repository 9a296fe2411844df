//! Browsers: which origins may read answers, and the questions browsers ask beforehand.

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

const HEADERS: &str =
    "Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-ID, X-Trace-ID";
const EXPOSED: &str = "ETag, Retry-After, X-Request-ID, X-Trace-ID";

/// Whether this is a browser's question before the request itself.
pub(super) fn is_preflight(request: &HttpRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to it: what this path takes. Whether the origin may is said by [`stamp`].
pub(super) fn preflight(allow: &str) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, allow))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

/// Lets an allowed origin read the answer. Others get no word of it: their browser refuses.
pub(super) fn stamp(request: &HttpRequest, allowed: &[String], response: &mut HttpResponse) {
    if allowed.is_empty() {
        return;
    }
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let origin = request.headers().get(ORIGIN);
    if let Some(origin) = origin.filter(|origin| allowed.iter().any(|one| *origin == one.as_str()))
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static(EXPOSED);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}
