//! The calls of the signer's API, and the form in which each is answered.

/// A call that the sidecar makes. A stock Web3Signer picks the handler by `Accept` as well as by path: what it cannot
/// serve in the form that is asked for it answers with 406 (`eth2`) or 404 (`eth1`), so each call has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Upcheck,
    Healthcheck,
    Eth2Keys,
    Eth1Keys,
    Eth2Sign,
    Eth1Sign,
    KeyManager,
    Reload,
    Extension,
}

impl Route {
    /// The value of `Accept`.
    pub(super) const fn accept(self) -> &'static str {
        match self {
            // Text alone, by every release since 23.9.0, and JSON alone before.
            Self::Upcheck => "*/*",
            // JSON if that is asked for, else the bare text.
            Self::Eth2Sign => "application/json",
            // Text whatever is asked for.
            Self::Eth1Sign => "text/plain",
            Self::Healthcheck | Self::Eth2Keys | Self::Eth1Keys | Self::KeyManager | Self::Reload | Self::Extension => {
                "application/json"
            }
        }
    }

    /// The path; for the calls that have a key in it, what stands before the key.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Upcheck => "/upcheck",
            Self::Healthcheck => "/healthcheck",
            Self::Eth2Keys => "/api/v1/eth2/publicKeys",
            Self::Eth1Keys => "/api/v1/eth1/publicKeys",
            Self::Eth2Sign => "/api/v1/eth2/sign/",
            Self::Eth1Sign => "/api/v1/eth1/sign/",
            Self::KeyManager => "/eth/v1/keystores",
            Self::Reload => "/reload",
            Self::Extension => "/ext/cryft/v1",
        }
    }
}
