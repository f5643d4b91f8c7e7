//! Why a figure could not be measured.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::attacks::AttackError;
use crate::stage::{CallError, DigestError, Interrupted, ProcessError, StageError, UnitError};

#[derive(Debug, thiserror::Error)]
pub(super) enum BenchError {
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("attack: {0}")]
    Attack(#[from] AttackError),
    #[error(transparent)]
    Load(#[from] super::load::LoadError),
    #[error("read a signature: {0}")]
    Signature(#[source] contract::bytes::NotBytes),
    #[error("the sidecar names no BLS key")]
    NoKey,
    #[error("watch or signal pid {pid}: {source}")]
    Watch { pid: u32, source: std::io::Error },
    #[error("pid {pid} outlived {what}")]
    Outlived { pid: u32, what: &'static str },
    #[error("the first request after a kill was not answered: {0}")]
    AfterKill(String),
    #[error("requests went unanswered: {lost} lost in the queue, {wrong} with a wrong answer")]
    Answers { lost: u64, wrong: u64 },
    #[error("the clients get no further: {0:?}")]
    NoProgress(super::load::Counts),
    #[error("a reload of a good sidecar failed: {0}")]
    Reload(String),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error("{operation} {}: {source}", path.display())]
    File { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} has no line \"Pss:\"", .0.display())]
    NoPss(PathBuf),
    #[error("read the CPU time of pid {pid}: {source}")]
    CpuTime { pid: u32, source: nix::errno::Errno },
    #[error("the sidecar started by hand gave no answer within {} s; it last wrote: {said}", within.as_secs())]
    NoAnswer { within: std::time::Duration, said: String },
    #[error("run {}: {source}", program.display())]
    Run { program: OsString, source: std::io::Error },
    #[error("{} ended with {status}: {said}", program.display())]
    RunFailed { program: OsString, status: std::process::ExitStatus, said: String },
    #[error("{program} printed no number where one is expected: {said}")]
    Unread { program: &'static str, said: String },
    /// This machine lacks what it takes; the other figures do not depend on it.
    #[error("{0}")]
    Unable(String),
    #[error("the measurement of {0} gave no number")]
    NotANumber(&'static str),
}
