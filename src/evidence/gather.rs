//! Looks at the host. Everything is measured anew; nothing of what the service remembers is taken over.

use std::io;
use std::path::Path;

use super::{AuditHead, Confinement, Mapped, Reference, Sidecar, Statement, VERSION, Verifier};
use crate::appraise::{self, Accepted, Detached, References, Verdict};
use crate::audit::kept::{self, Found};
use crate::measure::mappings::{self, Backing, Library, LibraryError};
use crate::measure::{self, MeasureError, PathCheck};
use crate::text::one_line;
use crate::tpm::TpmError;
use crate::{clock, config::Settings};
use contract::wire::Attestation;
use contract::{BlsPublicKey, Digest, NodeId, TlsPublicKey};

/// The host cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum GatherError {
    #[error("read {of} of pid {pid}; root may, and the verifier's user")]
    Proc { of: &'static str, pid: u32, source: io::Error },
    #[error("measure what runs; root may, and the verifier's user")]
    Measure(#[from] MeasureError),
    #[error("measure a mapped file")]
    Library(#[from] LibraryError),
    #[error("have the TPM quote what was launched; --tpm-mode off makes evidence without it")]
    Tpm(#[from] TpmError),
    #[error("read {0}")]
    Read(&'static str, #[source] io::Error),
    #[error("pid {0} ended, or became another process, while it was looked at")]
    Gone(u32),
}

/// Whom the evidence is of.
pub struct Subject<'a> {
    /// Of the asker.
    pub nonce: &'a str,
    /// By the kernel's word the process that answered.
    pub pid: u32,
    /// What it answered.
    pub attestation: &'a Attestation,
    /// The node's.
    pub tls: TlsPublicKey,
    /// The node's, where it is known.
    pub bls: Option<BlsPublicKey>,
    /// The host's.
    pub references: &'a References,
    /// What the signatures beside the binary say of this digest.
    pub detached: &'a dyn Fn(Digest) -> Detached,
}

/// Gathers the evidence.
///
/// # Errors
/// [`GatherError`]: nothing is left out because it could not be read.
pub fn gather(subject: &Subject<'_>, settings: &Settings) -> Result<Statement, GatherError> {
    let pid = subject.pid;
    let started = start_time(pid)?;
    let image = measure::open_running(pid)?;
    let digest = measure::digest_of_running(pid, &image)?;
    let parent = status(pid)?.number("PPid").ok_or(GatherError::Gone(pid))?;
    let verifier = Verifier {
        pid: parent,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        digest: measure::running(parent)?,
        confinement: confinement(parent)?,
    };
    let sidecar = Sidecar {
        pid,
        version: subject.attestation.cryfttee_version.clone(),
        digest,
        reported_digest: subject.attestation.core_binary_hash,
        // A file that can have no seals has none.
        sealed: measure::lost_seals(&image).is_ok_and(|lost| !lost),
        mappings: mapped(pid, &image, digest)?,
        confinement: confinement(pid)?,
    };
    // Its number may have gone to another process meanwhile.
    if start_time(pid)? != started {
        return Err(GatherError::Gone(pid));
    }
    Ok(Statement {
        version: VERSION,
        nonce: subject.nonce.to_owned(),
        time: clock::utc(clock::now()),
        boot_id: clock::boot_id().map_err(|source| GatherError::Read("the boot id", source))?,
        kernel: read("/proc/sys/kernel/osrelease", "the kernel's release")?,
        node_id: NodeId::of(&subject.tls),
        tls_pubkey: subject.tls,
        bls_pubkey: subject.bls,
        reference: reference(digest, subject),
        audit_head: audit_head(&settings.state_dir)?,
        // Last of all, because it is over all the rest.
        tpm: None,
        sidecar,
        verifier,
    })
}

fn reference(digest: Digest, subject: &Subject<'_>) -> Reference {
    let (accepted, by) = match appraise::decide(digest, subject.references, &(subject.detached)(digest)) {
        Verdict::Accept(Accepted::By(value)) => (true, value.origin),
        Verdict::Accept(Accepted::WithoutReference) => (true, "nothing: there is no reference value".to_owned()),
        Verdict::Accept(Accepted::Unenforced) => (true, "nothing: trust.require = \"never\"".to_owned()),
        Verdict::Refuse(refusal) => (false, one_line(&refusal)),
    };
    Reference { accepted, by }
}

fn mapped(pid: u32, image: &std::fs::File, digest: Digest) -> Result<Vec<Mapped>, GatherError> {
    let failed = |source| GatherError::Proc { of: "the mappings", pid, source };
    let mut found: Vec<Mapped> = Vec::new();
    let executable = mappings::executable(pid).map_err(failed)?;
    if executable.too_many {
        return Err(failed(io::Error::other("there are more than any sidecar needs")));
    }
    for mapping in executable.mappings {
        let (what, digest) = match &mapping.backing {
            Backing::Kernel => ("kernel".to_owned(), None),
            Backing::Anonymous => ("memory".to_owned(), None),
            Backing::File { id, path } => {
                let of_image = mappings::same_file(image, *id).map_err(failed)?;
                let digest = if of_image { digest } else { library(pid, path, *id)?.digest };
                (if of_image { "image".to_owned() } else { path.display().to_string() }, Some(digest))
            }
        };
        found.push(Mapped { what, digest, writable: mapping.writable, private_kib: mapping.private_kib });
    }
    Ok(found)
}

/// The sidecar's own view of its files is looked at where it is in a mount namespace of its own.
fn library(pid: u32, path: &Path, id: mappings::FileId) -> Result<Library, LibraryError> {
    let within = Path::new("/proc").join(pid.to_string()).join("root");
    let inside = within.join(path.strip_prefix("/").unwrap_or(path));
    Library::open(path, id, PathCheck::Off).or_else(|_| Library::open(&inside, id, PathCheck::Off))
}

fn audit_head(state_dir: &Path) -> Result<Option<AuditHead>, GatherError> {
    match kept::look(state_dir) {
        Ok(seen) => Ok(match seen.head {
            Found::Head(head) => Some(AuditHead {
                chain: head.link.chain.to_string(),
                seq: head.link.seq,
                hash: head.link.hash.to_string(),
            }),
            Found::Nothing | Found::Damaged => None,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(GatherError::Read("the head of the audit trail", source)),
    }
}

fn read(path: &str, of: &'static str) -> Result<String, GatherError> {
    let text = std::fs::read_to_string(path).map_err(|source| GatherError::Read(of, source))?;
    Ok(text.trim().to_owned())
}

/// `/proc/<pid>/status`.
struct Status(String);

impl Status {
    fn get(&self, field: &str) -> String {
        let mut lines = self.0.lines();
        let line = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap_or("absent");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn number(&self, field: &str) -> Option<u32> {
        self.get(field).parse().ok()
    }
}

fn status(pid: u32) -> Result<Status, GatherError> {
    let failed = |source| GatherError::Proc { of: "the status", pid, source };
    std::fs::read_to_string(format!("/proc/{pid}/status")).map(Status).map_err(failed)
}

/// When the process was started, in ticks since the boot: with the pid its name.
fn start_time(pid: u32) -> Result<String, GatherError> {
    let failed = |source| GatherError::Proc { of: "the start time", pid, source };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(failed)?;
    // The name in brackets may have spaces and brackets.
    let after = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19)).map(str::to_owned);
    after.ok_or(GatherError::Gone(pid))
}

fn confinement(pid: u32) -> Result<Confinement, GatherError> {
    let status = status(pid)?;
    Ok(Confinement {
        uid: status.get("Uid"),
        gid: status.get("Gid"),
        groups: status.get("Groups"),
        no_new_privs: status.get("NoNewPrivs"),
        seccomp: status.get("Seccomp"),
        tracer_pid: status.get("TracerPid"),
        cap_eff: status.get("CapEff"),
        cap_bnd: status.get("CapBnd"),
        cap_amb: status.get("CapAmb"),
        own_namespaces: own_namespaces(pid)?,
    })
}

fn own_namespaces(pid: u32) -> Result<Vec<String>, GatherError> {
    const NAMES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let mut own = Vec::new();
    for name in NAMES {
        let link = |of: u32| {
            std::fs::read_link(format!("/proc/{of}/ns/{name}")).map_err(|source| GatherError::Proc {
                of: "the namespaces",
                pid: of,
                source,
            })
        };
        if link(pid)? != link(1)? {
            own.push(name.to_owned());
        }
    }
    Ok(own)
}
