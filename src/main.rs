//! The `ibora` program: everything it can do is a command of `cli`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What one thread decides, another one records and drops: the system's allocator locks for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ibora::cli::main()
}
