//! The private server's settings, written anew at every start into a file beside the cluster.
//!
//! Used inside this room only. Durability is not for sale: a commit that was confirmed is on disk.

use std::path::Path;

/// Connections beyond those of the pools: setup, health checks, an operator's `psql`.
const RESERVED_CONNECTIONS: u32 = 5;
/// PostgreSQL's own limit.
const CONNECTIONS_MAX: u32 = 262_143;

/// Ends `postgresql.conf`, so that ours are the last word. Relative to the cluster: a data
/// directory may be moved.
pub(super) const INCLUDE: &str =
    "\n# Written by the engine at every start.\ninclude '../ibora.conf'\n";

/// The text of the file. `socket_dir` has no letters to quote (see `layout`).
pub(super) fn render(max_connections: u32, socket_dir: &Path) -> String {
    let connections = max_connections.saturating_add(RESERVED_CONNECTIONS).min(CONNECTIONS_MAX);
    format!(
        "# Written by the engine at every start: changes here are lost.\n\
         listen_addresses = ''\n\
         port = {port}\n\
         unix_socket_directories = '{socket_dir}'\n\
         unix_socket_permissions = 0700\n\
         max_connections = {connections}\n\
         superuser_reserved_connections = {RESERVED_CONNECTIONS}\n{SETTINGS}",
        port = super::layout::PORT,
        socket_dir = socket_dir.display(),
    )
}

const SETTINGS: &str = "\
password_encryption = 'scram-sha-256'

# Durability.
fsync = on
synchronous_commit = on
full_page_writes = on

# A small machine with an SSD. WAL is written once; a checkpoint seldom.
shared_buffers = '256MB'
effective_cache_size = '1GB'
work_mem = '8MB'
maintenance_work_mem = '128MB'
wal_buffers = '16MB'
wal_compression = on
max_wal_size = '4GB'
min_wal_size = '512MB'
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
            let text = render(asked, Path::new("/d/run"));
            assert!(text.contains(&format!("\nmax_connections = {expected}\n")), "{asked}");
            assert!(text.contains("\nunix_socket_directories = '/d/run'\n"));
        }
    }
}
