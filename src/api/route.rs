//! Routes: what an entry is, and the one way from a request to an answer.
//!
//! In this order: names for the log, who is asking, their limit, the body, the handler. A handler
//! that panics is a 500 of that request alone.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::ETAG;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use ibora_domain::facts::Done;
use ibora_domain::person::{Role, Scope};
use serde::Serialize;
use serde_json::Value;
use tracing::Instrument;
use uuid::Uuid;

use super::problem::Problem;
use super::request::{Meta, log};
use super::{Api, auth, body, cors};
use crate::accounts::Identity;

/// The label of what matches no route.
pub(super) const UNMATCHED: &str = "unmatched";

pub(super) type Answered = Result<HttpResponse, Problem>;
type Serving = LocalBoxFuture<'static, HttpResponse>;
type Handler = Arc<dyn Fn(Call) -> LocalBoxFuture<'static, Answered> + Send + Sync>;
type KnownHandler = Arc<dyn Fn(Call, Identity) -> LocalBoxFuture<'static, Answered> + Send + Sync>;

/// Who may call a route, and what answers.
pub(super) enum Access {
    /// Probes: anybody, however often.
    Probe(Handler),
    /// Anybody, within the limit of their address.
    Public(Handler),
    /// Anybody, within the limits of logging in.
    Login(Handler),
    /// The holder of a token with one of these roles and this scope.
    Known { roles: &'static [Role], scope: Scope, run: KnownHandler },
}

/// A route.
pub(super) struct Entry {
    pub(super) method: Method,
    /// The pattern, which is also the label of metrics.
    pub(super) path: &'static str,
    pub(super) access: Access,
}

/// A request on its way to its handler.
pub(super) struct Call {
    pub(super) api: Arc<Api>,
    pub(super) request: HttpRequest,
    pub(super) meta: Meta,
    pub(super) body: Bytes,
}

impl Call {
    /// The body as JSON; none is `null`.
    pub(super) fn json(&self) -> Result<Value, Problem> {
        body::value(self.request.headers(), &self.body)
    }

    /// The `{id}` of the path. What is no id names nothing.
    pub(super) fn id(&self) -> Result<Uuid, Problem> {
        let text = self.request.match_info().query("id");
        let id = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
        id.ok_or(Problem::NoPath)
    }
}

fn handler<F, Fut>(run: F) -> Handler
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answered> + 'static,
{
    Arc::new(move |call| run(call).boxed_local())
}

/// A route for the holders of tokens.
pub(super) fn known<F, Fut>(
    (method, path): (Method, &'static str),
    roles: &'static [Role],
    scope: Scope,
    run: F,
) -> Entry
where
    F: Fn(Call, Identity) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answered> + 'static,
{
    let run: KnownHandler = Arc::new(move |call, who| run(call, who).boxed_local());
    Entry { method, path, access: Access::Known { roles, scope, run } }
}

/// A route of `/auth/*`.
pub(super) fn login<F, Fut>(path: &'static str, run: F) -> Entry
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answered> + 'static,
{
    Entry { method: Method::POST, path, access: Access::Login(handler(run)) }
}

/// A route for anybody.
pub(super) fn public<F, Fut>(path: &'static str, run: F) -> Entry
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answered> + 'static,
{
    Entry { method: Method::GET, path, access: Access::Public(handler(run)) }
}

/// A route for probes.
pub(super) fn probe<F, Fut>(path: &'static str, run: F) -> Entry
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answered> + 'static,
{
    Entry { method: Method::GET, path, access: Access::Probe(handler(run)) }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let body = serde_json::to_string(body).unwrap_or_default();
    HttpResponse::build(status).content_type("application/json").body(body)
}

/// The answer of a command, with the version of what it is about.
pub(super) fn done(status: StatusCode, done: &Done) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if done.version > 0 {
        response.insert_header((ETAG, format!("\"{}\"", done.version)));
    }
    response.content_type("application/json").body(done.body.to_string())
}

/// Mounts `entries`, the refusal of other methods on their paths, and that of other paths.
pub(super) fn mount(api: &Arc<Api>, entries: Vec<Entry>, config: &mut ServiceConfig) {
    let mut paths: BTreeMap<&'static str, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        paths.entry(entry.path).or_default().push(entry);
    }
    for (path, entries) in paths {
        let mut resource = web::resource(path);
        let methods: Vec<_> = entries.iter().map(|entry| entry.method.to_string()).collect();
        for entry in entries {
            let method = entry.method.clone();
            resource = resource.route(web::method(method).to(service(api, entry)));
        }
        let other = service(api, other_method(path, methods.join(", ")));
        config.service(resource.default_service(web::to(other)));
    }
    let nothing = handler(|_| async { Err(Problem::NoPath) });
    let nothing = Entry { method: Method::GET, path: UNMATCHED, access: Access::Public(nothing) };
    config.default_service(web::to(service(api, nothing)));
}

fn other_method(path: &'static str, allow: String) -> Entry {
    let refuse = handler(move |call| {
        let allow = allow.clone();
        async move {
            if cors::is_preflight(&call.request) {
                return Ok(cors::preflight(&allow));
            }
            Err(Problem::Method { allow })
        }
    });
    Entry { method: Method::OPTIONS, path, access: Access::Public(refuse) }
}

/// What actix calls for an entry.
fn service(
    api: &Arc<Api>,
    entry: Entry,
) -> impl Fn(HttpRequest, Payload) -> Serving + Clone + 'static + use<> {
    let (api, entry) = (Arc::clone(api), Arc::new(entry));
    move |request, payload| {
        serve(Arc::clone(&api), Arc::clone(&entry), request, payload).boxed_local()
    }
}

async fn serve(
    api: Arc<Api>,
    entry: Arc<Entry>,
    request: HttpRequest,
    mut payload: Payload,
) -> HttpResponse {
    let began = Instant::now();
    let meta = Meta::of(&request, &api.options.proxies);
    let span = meta.span();
    async {
        let run = answer(&api, &entry, &meta, (request.clone(), &mut payload));
        let answered = AssertUnwindSafe(run).catch_unwind().await;
        body::drain(&request, &mut payload).await;
        let answered = answered.unwrap_or(Err(Problem::Broken));
        let mut response = answered.unwrap_or_else(|problem| problem.response(&meta.request_id));
        meta.stamp(&mut response);
        cors::stamp(&request, &api.options.allowed_origins, &mut response);
        let (status, took) = (response.status().as_u16(), began.elapsed());
        api.metrics.observe_request(entry.path, status, took.as_secs_f64());
        log(request.method().as_str(), entry.path, status, took);
        response
    }
    .instrument(span)
    .await
}

async fn answer(
    api: &Arc<Api>,
    entry: &Entry,
    meta: &Meta,
    (request, payload): (HttpRequest, &mut Payload),
) -> Answered {
    let mut identity = None;
    match &entry.access {
        Access::Probe(_) => {}
        Access::Public(_) => api.limits.address(meta.address)?,
        Access::Login(_) => api.limits.auth_address(meta.address)?,
        Access::Known { roles, scope, .. } => {
            let wanted = (*roles, *scope);
            let who = auth::identify(api, request.headers(), meta.address, wanted)?;
            tracing::Span::current().record("user_id", tracing::field::display(who.user));
            identity = Some(who);
        }
    }
    let body = body::read(&request, payload, api.options.body_bytes_max).await?;
    let call = Call { api: Arc::clone(api), request, meta: meta.clone(), body };
    match (&entry.access, identity) {
        (Access::Known { run, .. }, Some(who)) => run(call, who).await,
        (Access::Known { .. }, None) => Err(Problem::NoToken),
        (Access::Probe(run) | Access::Public(run) | Access::Login(run), _) => run(call).await,
    }
}
