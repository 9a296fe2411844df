//! The private server's settings, written anew at every start into a file beside the cluster.
//!
//! Used inside this room only. Durability is not for sale: a commit that was confirmed is on disk.

use std::path::Path;

use super::options::EmbeddedOptions;

/// Connections beyond those of the pools: setup, health checks, an operator's `psql`.
const RESERVED_CONNECTIONS: u32 = 5;
/// PostgreSQL's own limit.
const CONNECTIONS_MAX: u32 = 262_143;

/// WAL that stays on disk to be written over, and how much may lie between two checkpoints.
const WAL_KEPT_MIN_MB: u32 = 512;
const WAL_MAX_MIN_MB: u32 = 4096;

/// Assumed of a machine that does not tell its memory.
const MEMORY_UNKNOWN_MB: u64 = 2048;

/// Ends `postgresql.conf`, so that ours are the last word. Relative to the cluster: a data
/// directory may be moved.
pub(super) const INCLUDE: &str =
    "\n# Written by the engine at every start.\ninclude '../ibora.conf'\n";

/// The text of the file. `socket_dir` has no letters to quote (see `layout`).
pub(super) fn render(options: &EmbeddedOptions, socket_dir: &Path) -> String {
    let connections = options.max_connections.saturating_add(RESERVED_CONNECTIONS);
    let connections = connections.min(CONNECTIONS_MAX);
    let memory_mb = memory_mb().unwrap_or(MEMORY_UNKNOWN_MB);
    let wal_kept = options.wal_reserve_mb.max(WAL_KEPT_MIN_MB);
    format!(
        "# Written by the engine at every start: changes here are lost.\n\
         listen_addresses = ''\n\
         port = {port}\n\
         unix_socket_directories = '{socket_dir}'\n\
         unix_socket_permissions = 0700\n\
         max_connections = {connections}\n\
         superuser_reserved_connections = {RESERVED_CONNECTIONS}\n\
         shared_buffers = '{buffers}MB'\n\
         effective_cache_size = '{cached}MB'\n\
         min_wal_size = '{wal_kept}MB'\n\
         max_wal_size = '{wal_max}MB'\n{SETTINGS}",
        buffers = (memory_mb / 16).clamp(128, 1024),
        cached = (memory_mb / 4).max(512),
        wal_max = wal_kept.saturating_mul(2).max(WAL_MAX_MIN_MB),
        port = super::layout::PORT,
        socket_dir = socket_dir.display(),
    )
}

/// Memory of this machine; `None` where the system does not say.
fn memory_mb() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kb: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kb / 1024)
}

const SETTINGS: &str = "\
password_encryption = 'scram-sha-256'

# Durability.
fsync = on
synchronous_commit = on
full_page_writes = on

# A small machine with an SSD that is shared with the engine. A checkpoint seldom.
work_mem = '8MB'
maintenance_work_mem = '128MB'
wal_buffers = '16MB'
wal_compression = on
checkpoint_timeout = '15min'
checkpoint_completion_target = 0.9
random_page_cost = 1.1
jit = off
# The cores are for the engine, and /dev/shm is small in containers.
max_parallel_workers_per_gather = 0

# Current-state rows change all the time: clean up early, in small portions.
autovacuum_naptime = '15s'
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.05
autovacuum_vacuum_insert_scale_factor = 0.1
autovacuum_vacuum_cost_limit = 1000

# What a statement held or what row it broke on may be personal data: never in the log.
logging_collector = off
log_min_messages = warning
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = 'none'
log_min_duration_statement = -1
log_checkpoints = off
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
lc_messages = 'C'
timezone = 'UTC'
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_get_the_connections_they_were_promised() {
        let cases = [(20, 25), (0, 5), (u32::MAX, CONNECTIONS_MAX)];
        for (asked, expected) in cases {
            let data_dir = Path::new("/d").to_owned();
            let options = EmbeddedOptions {
                data_dir,
                binaries: None,
                max_connections: asked,
                wal_reserve_mb: 0,
            };
            let text = render(&options, Path::new("/d/run"));
            assert!(text.contains(&format!("\nmax_connections = {expected}\n")), "{asked}");
            assert!(text.contains("\nunix_socket_directories = '/d/run'\n"));
        }
    }
}
