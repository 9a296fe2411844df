//! What the Pix provider tells, from the door where it comes in to the journal that keeps it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use secrecy::SecretString;

use crate::config::Config;
use crate::journal::{Journal, NoticeRow, WebhookRow};
use crate::obs::{Metrics, failpoint};
use crate::pix::inbound::{Callbacks, Delivery, NotStored, Told};

/// Callbacks under one of these secrets that are stored by this journal.
pub(super) fn callbacks(
    config: &Config,
    secrets: &[SecretString],
    journal: &Arc<Journal>,
    metrics: &Arc<Metrics>,
) -> Arc<Callbacks> {
    let journal = Arc::clone(journal);
    let store = move |delivery| store(Arc::clone(&journal), delivery);
    Callbacks::new(secrets, config.pix.webhook_bytes_max, Arc::new(store), Arc::clone(metrics))
}

fn store(
    journal: Arc<Journal>,
    delivery: Delivery,
) -> BoxFuture<'static, Result<usize, NotStored>> {
    let Delivery { digest, body, notices } = delivery;
    let notices = notices.into_iter().map(notice).collect();
    let row = WebhookRow { digest, body: body.into(), notices };
    async move {
        failpoint!(CallbackTaken);
        let stored = journal.inbox().store(row).await.map_err(|_| NotStored)?;
        failpoint!(CallbackStored);
        Ok(stored)
    }
    .boxed()
}

fn notice(Told { what, element }: Told) -> NoticeRow {
    NoticeRow {
        kind: what.kind,
        e2e_id: what.e2e_id,
        part: what.part,
        status: what.status,
        body: element,
    }
}
