//! The `ibora` program: everything it can do is a command of `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ibora::cli::main()
}
