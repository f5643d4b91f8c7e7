//! `cryftgo-tee`.

use std::process::ExitCode;

use cryftgo_tee::cli;
use cryftgo_tee::launch::sockets::Inherited;

fn main() -> ExitCode {
    // First of all: taking the sockets removes their variables from the environment, which is sound only as
    // long as there is one thread.
    cli::main(Inherited::take())
}
