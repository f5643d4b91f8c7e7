//! The one table of settings. A row gives a setting its key in the file, and from that its flag and its
//! environment variable: `watch.interval` is `--watch-interval` and `CRYFTGO_WATCH_INTERVAL`.

use contract::defaults;

/// What kind of value a setting takes. Text from a flag or the environment is read accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// Any text, a path or one word of a fixed set.
    Text,
    /// A whole number.
    Number,
    /// A number with `ms`, `s`, `m` or `h`.
    Time,
    /// Texts; from a flag or the environment separated by commas.
    List,
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// The key in the file, dotted.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The default, spelled as in the environment.
    pub default: &'static str,
    /// How the help calls the value.
    pub value: &'static str,
    /// One sentence for the help.
    pub help: &'static str,
}

impl Key {
    /// The long flag, without the dashes.
    pub fn flag(&self) -> String {
        self.path.replace(['.', '_'], "-")
    }

    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("CRYFTGO_{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

const fn key(path: &'static str, kind: Kind, default: &'static str, value: &'static str, help: &'static str) -> Key {
    Key { path, kind, default, value, help }
}

/// Every setting there is.
pub const KEYS: &[Key] = &[
    key(
        "cryfttee.signer",
        Kind::Switch,
        "false",
        "true|false",
        "Run the signing sidecar; when false nothing is started",
    ),
    key("cryfttee.binary", Kind::Text, defaults::SIDECAR_BINARY, "PATH", "The sidecar's binary"),
    key("cryfttee.transport", Kind::Text, defaults::TRANSPORT, "uds|http|https", "How clients reach the sidecar"),
    key("cryfttee.socket", Kind::Text, defaults::SOCKET, "PATH", "The public socket, for the transport uds"),
    key(
        "cryfttee.http_addr",
        Kind::Text,
        defaults::HTTP_ADDR,
        "ADDR:PORT",
        "The address, for the transports http and https",
    ),
    key(
        "cryfttee.tls_cert",
        Kind::Text,
        "",
        "FILE",
        "The sidecar's certificate chain, PEM, for the transport https; the sidecar's user must be able to read it",
    ),
    key("cryfttee.tls_key", Kind::Text, "", "FILE", "The key of that certificate, PEM"),
    key(
        "cryfttee.tls_ca",
        Kind::Text,
        "",
        "FILE",
        "CA certificates that clients of this program check the sidecar's certificate with, for the transport https",
    ),
    key(
        "cryfttee.allow_users",
        Kind::List,
        "",
        "USER,…",
        "Who may sign and read, by name or id; no list at all: whoever can connect",
    ),
    key("cryfttee.allow_groups", Kind::List, "", "GROUP,…", "The same, by group"),
    key(
        "cryfttee.register_users",
        Kind::List,
        "",
        "USER,…",
        "Who may, beside that, have keys made over the public socket; the verifier makes the node's own without it",
    ),
    key("cryfttee.register_groups", Kind::List, "", "GROUP,…", "The same, by group"),
    key(
        "cryfttee.register_over_tcp",
        Kind::Switch,
        "false",
        "true|false",
        "Let clients on TCP, whose user nobody knows, have keys made",
    ),
    key("cryfttee.request_timeout", Kind::Time, "30s", "TIME", "How long one request to the sidecar may take"),
    key(
        "cryfttee.startup_timeout",
        Kind::Time,
        "30s",
        "TIME",
        "How long the sidecar may take from exec to its first answer; its signer has web3signer.startup_timeout",
    ),
    key("web3signer.url", Kind::Text, defaults::WEB3SIGNER_URL, "URL", "The Web3Signer that the sidecar calls"),
    key(
        "web3signer.eth1_url",
        Kind::Text,
        "",
        "URL",
        "Its eth1 process, which has the secp256k1 keys, where that is another one",
    ),
    key(
        "web3signer.key_generation",
        Kind::Text,
        defaults::KEY_GENERATION,
        "signer|import|off",
        "Who makes keys: signer = Web3Signer itself; import = the sidecar makes BLS keys and has them imported; off = nobody",
    ),
    key(
        "web3signer.startup_timeout",
        Kind::Time,
        "10m",
        "TIME",
        "How long a start waits for Web3Signer: to answer, to load its keys, and to list those of this node; then it is tried again",
    ),
    key(
        "web3signer.reload",
        Kind::Text,
        defaults::SIGNER_RELOAD,
        "when-empty|never",
        "Ask a Web3Signer that lists no key once a minute to read its key files again",
    ),
    key(
        "handoff",
        Kind::Text,
        "inherit",
        "inherit|inherit-plain",
        "How the sidecar gets the public socket: inherit = it accepts only after its attestation; inherit-plain = at once",
    ),
    key(
        "control.socket",
        Kind::Text,
        defaults::CONTROL_SOCKET,
        "PATH",
        "The private socket between verifier and sidecar",
    ),
    key(
        "launch.image",
        Kind::Text,
        "sealed",
        "sealed|fd",
        "What is executed: a sealed copy in memory, or the opened file",
    ),
    key(
        "launch.check_path",
        Kind::Switch,
        "true",
        "true|false",
        "Refuse a binary that others than root and the verifier could have put there: owner, mode, links, and every folder up to /",
    ),
    key("launch.user", Kind::Text, "", "USER", "The user the sidecar runs as; empty: the verifier's own"),
    key("launch.stop_grace", Kind::Time, "5s", "TIME", "How long the sidecar may take to stop before it is killed"),
    key(
        "trust.require",
        Kind::Text,
        "auto",
        "auto|always|never",
        "Demand a reference value: auto = as soon as there is one",
    ),
    key("trust.pins", Kind::List, "", "DIGEST,…", "Digests that may run"),
    key(
        "trust.pins_d",
        Kind::List,
        "/usr/lib/cryftgo-tee/pins.d,/etc/cryftgo-tee/pins.d,/run/cryftgo-tee/pins.d",
        "DIR,…",
        "Folders of files with digests that may run, in the form of sha256sum",
    ),
    key("trust.manifest", Kind::Text, "", "FILE", "A signed release manifest"),
    key("trust.keys", Kind::List, "", "KEY,…", "minisign public keys whose signatures count"),
    key("trust.threshold", Kind::Number, "1", "N", "How many different keys must have signed"),
    key("trust.version", Kind::Text, "", "VERSION", "The one release of the manifest that may run; empty: any"),
    key(
        "trust.libraries_d",
        Kind::List,
        "/usr/lib/cryftgo-tee/libraries.d,/etc/cryftgo-tee/libraries.d,/run/cryftgo-tee/libraries.d",
        "DIR,…",
        "Folders of files with digests of libraries that the sidecar may map; where there is none, any that only root could have written",
    ),
    key(
        "state_dir",
        Kind::Text,
        "/var/lib/cryftgo-tee",
        "DIR",
        "Where the verifier keeps the tamper mark and what it must not forget",
    ),
    key(
        "audit.on_failure",
        Kind::Text,
        "continue",
        "continue|hold",
        "What follows where journald does not take audit events: continue = they wait on disk; hold = so do keys and READY",
    ),
    key(
        "audit.checkpoint_events",
        Kind::Number,
        "100",
        "N",
        "After how many events, and at a stop, the TLS key signs how far the audit trail goes; 0 = never",
    ),
    key(
        "tpm.mode",
        Kind::Text,
        "auto",
        "auto|required|off",
        "Extend the digest of what is launched into a PCR of a TPM: auto = where there is one; required = or nothing is launched; off",
    ),
    key(
        "tpm.device",
        Kind::Text,
        "/dev/tpmrm0",
        "PATH",
        "The TPM: the device of the kernel's resource manager, or the Unix socket of a software TPM",
    ),
    key("tpm.pcr", Kind::Number, "13", "N", "Which PCR, 8 to 15: others are the firmware's, or can be reset"),
    key(
        "tpm.log",
        Kind::Text,
        "/run/cryftgo-tee/tpm.json",
        "FILE",
        "Where it is kept what was extended since the boot; on a tmpfs",
    ),
    key("identity.state_dir", Kind::Text, defaults::STATE_DIR, "DIR", "Where the public keys and the Node ID are kept"),
    key(
        "identity.file",
        Kind::Text,
        defaults::IDENTITY_FILE,
        "FILE",
        "Where other services read who the node is, from READY on until the stop; empty: nowhere",
    ),
    key(
        "identity.bls_pubkey",
        Kind::Text,
        "",
        "KEY",
        "The node's BLS key, hex; empty: the saved one, at the first start the first in ascending order that Web3Signer lists",
    ),
    key("identity.tls_pubkey", Kind::Text, "", "KEY", "The same for the secp256k1 key, which gives the Node ID"),
    key(
        "state_file",
        Kind::Text,
        defaults::STATE_FILE,
        "FILE",
        "Where any user reads how the service is, as status, healthcheck and metrics do; on a tmpfs; empty: nowhere",
    ),
    key("watch.interval", Kind::Time, "10s", "TIME", "How often the running image is measured again"),
    key(
        "watch.mappings",
        Kind::Text,
        "enforce",
        "enforce|report|off",
        "Executable memory of the sidecar that nobody appraised: enforce = tampering; report = one audit event (for a sidecar that compiles code while it runs); off",
    ),
    key(
        "watch.health_interval",
        Kind::Time,
        "5s",
        "TIME",
        "How often the sidecar is asked whether it and its signer are well",
    ),
    key(
        "watch.health_timeout",
        Kind::Time,
        "5s",
        "TIME",
        "How long an answer may take; the sidecar itself waits up to 4 s for its signer before it says that it is away",
    ),
    key(
        "watch.health_failures",
        Kind::Number,
        "3",
        "N",
        "How many bad answers in a row count: none = the sidecar hangs and is restarted; signer away = degraded",
    ),
    key(
        "on_mismatch",
        Kind::Text,
        "kill",
        "kill|alert",
        "What follows where the running sidecar is found to be tampered with: kill = evidence is kept, the sidecar killed, the service locked; alert = told, and nothing else",
    ),
    key("watch.restart.max", Kind::Number, "5", "N", "How many crashes of the sidecar are answered with a restart …"),
    key("watch.restart.within", Kind::Time, "10m", "TIME", "… within this time, before the verifier gives up"),
];
