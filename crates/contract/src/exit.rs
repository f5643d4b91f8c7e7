//! Exit codes of `cryftgo-tee` (the contract; the numbers of `sysexits.h` where one fits).

/// All is well.
pub const OK: u8 = 0;
/// The command line was wrong.
pub const USAGE: u8 = 64;
/// A file that the verifier reads holds bad data.
pub const DATA: u8 = 65;
/// The signer or the sidecar is not available.
pub const UNAVAILABLE: u8 = 69;
/// A bug in the verifier.
pub const INTERNAL: u8 = 70;
/// The operating system refused: fork, memfd, exec.
pub const OS: u8 = 71;
/// Reading or writing failed.
pub const IO: u8 = 74;
/// The sidecar crashed more often than its restart budget allows.
pub const CRASH_BUDGET: u8 = 75;
/// Integrity: wrong hash, refused manifest, mismatched attestation, forged answerer.
pub const INTEGRITY: u8 = 77;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;
