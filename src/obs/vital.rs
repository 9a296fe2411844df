//! Tasks without which an engine only seems to work.

use tokio::task::AbortHandle;

/// Runs a task that must not end by a panic: with it gone the engine would keep its shards, say
/// that it is ready, and do nothing. Then the whole process ends at once, and whoever stands by
/// takes over, or this node starts again from what is recorded.
pub(crate) fn vital(
    what: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) -> AbortHandle {
    let task = tokio::spawn(task);
    let handle = task.abort_handle();
    tokio::spawn(async move {
        if task.await.is_err_and(|ended| ended.is_panic()) {
            tracing::error!(what, "a task that the engine cannot do without has panicked");
            std::process::abort();
        }
    });
    handle
}
