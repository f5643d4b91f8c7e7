//! Who may do what on `api`. On `control` everything may be done: only the verifier can reach it.
//!
//! A client on a unix socket is known by the kernel's word on who connected (`SO_PEERCRED`, `SO_PEERGROUPS`); one on TCP
//! is not known at all. What it may do is decided once, when it connects:
//!
//! * root and the sidecar's own user: everything;
//! * sign and read: whoever an allow or register list names; where no allow list is configured, whoever the socket's
//!   mode lets connect, and on TCP whoever can reach it;
//! * have keys made: whoever a register list names; where no register list is configured, the owner of the socket file,
//!   which is the node that initialises itself through it. Over TCP: nobody, unless that was asked for.

use std::collections::HashSet;

use nix::unistd::{Gid, Group, Uid, User, geteuid};

mod denials;

pub(crate) use denials::Denials;

use contract::env;

/// A user or a group, as it is written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// By number; it need not have a name.
    Id(u32),
    /// By name; it has to exist when the sidecar starts.
    Name(String),
}

/// The settings, before names are looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessSettings {
    /// Users who may sign and read.
    pub allow_users: Vec<Principal>,
    /// Groups whose members may.
    pub allow_groups: Vec<Principal>,
    /// Users who may, beside that, have keys made.
    pub register_users: Vec<Principal>,
    /// Groups whose members may.
    pub register_groups: Vec<Principal>,
    /// Clients on TCP may have keys made.
    pub register_over_tcp: bool,
}

/// Why the settings cannot be applied. The first text is the variable's name.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No such user or group on this system.
    #[error("{0}: there is no {1} {2:?} on this system")]
    Unknown(&'static str, &'static str, String),
    /// The system's list of users or groups cannot be read.
    #[error("{0}: look up the {1} {2:?}")]
    LookUp(&'static str, &'static str, String, #[source] nix::Error),
}

/// Reads a list of names or ids, separated by commas; an empty text is an empty list, `None` an empty item in a list
/// that has commas. (A list of nothing but commas would otherwise lift the restriction that somebody meant to set.)
pub(crate) fn principals(text: &str) -> Option<Vec<Principal>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',')
        .map(|item| match item.trim() {
            "" => None,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Principal::Id),
            name => Some(Principal::Name(name.to_owned())),
        })
        .collect()
}

/// Users and groups by number.
#[derive(Debug, Default)]
struct List {
    users: HashSet<u32>,
    groups: HashSet<u32>,
}

impl List {
    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    fn names(&self, who: &Who) -> bool {
        let Who::User { uid, gid, groups, .. } = who else { return false };
        self.users.contains(uid) || std::iter::once(gid).chain(groups).any(|group| self.groups.contains(group))
    }
}

/// The rules, with every name looked up.
#[derive(Debug)]
pub struct Access {
    own: u32,
    allow: List,
    register: List,
    register_over_tcp: bool,
}

impl Access {
    /// Looks the names up: once, at the start, so that no request waits for a directory server.
    ///
    /// # Errors
    /// [`AccessError`] for the first name that is not known.
    pub fn resolve(settings: &AccessSettings) -> Result<Self, AccessError> {
        let list = |(user_variable, users): (_, &[Principal]), (group_variable, groups): (_, &[Principal])| {
            Ok(List {
                users: ids(user_variable, "user", users, |name| {
                    User::from_name(name).map(|found| found.map(|user| user.uid.as_raw()))
                })?,
                groups: ids(group_variable, "group", groups, |name| {
                    Group::from_name(name).map(|found| found.map(|group| group.gid.as_raw()))
                })?,
            })
        };
        Ok(Self {
            own: geteuid().as_raw(),
            allow: list((env::ALLOW_USERS, &settings.allow_users), (env::ALLOW_GROUPS, &settings.allow_groups))?,
            register: list(
                (env::REGISTER_USERS, &settings.register_users),
                (env::REGISTER_GROUPS, &settings.register_groups),
            )?,
            register_over_tcp: settings.register_over_tcp,
        })
    }

    /// Whether a client's groups matter.
    pub(crate) fn asks_for_groups(&self) -> bool {
        !(self.allow.groups.is_empty() && self.register.groups.is_empty())
    }

    /// What a client of `api` may do. `owner` is the user who owns the socket file.
    pub(crate) fn judge(&self, who: &Who, owner: Option<u32>) -> Rights {
        let open = self.allow.is_empty();
        match who {
            Who::User { uid, .. } if *uid == Uid::from_raw(0).as_raw() || *uid == self.own => Rights::ALL,
            Who::User { uid, .. } => {
                let registers = self.register.names(who);
                let serve = open || registers || self.allow.names(who);
                Rights { serve, register: registers || serve && self.register.is_empty() && owner == Some(*uid) }
            }
            Who::Tcp(_) => Rights { serve: open, register: open && self.register_over_tcp },
            Who::Unknown => Rights { serve: false, register: false },
        }
    }
}

fn ids(
    variable: &'static str,
    kind: &'static str,
    of: &[Principal],
    find: impl Fn(&str) -> nix::Result<Option<u32>>,
) -> Result<HashSet<u32>, AccessError> {
    of.iter()
        .map(|principal| match principal {
            Principal::Id(id) => Ok(*id),
            Principal::Name(name) => find(name)
                .map_err(|error| AccessError::LookUp(variable, kind, name.clone(), error))?
                .ok_or_else(|| AccessError::Unknown(variable, kind, name.clone())),
        })
        .collect()
}

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Sign and read.
    pub(crate) serve: bool,
    /// Have keys made.
    pub(crate) register: bool,
}

impl Rights {
    pub(crate) const ALL: Self = Self { serve: true, register: true };
}

/// A client, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// On a unix socket: the credentials of the process at the moment it connected.
    User { uid: u32, gid: u32, groups: Vec<u32>, pid: Option<i32> },
    /// On TCP.
    Tcp(std::net::SocketAddr),
    /// On a unix socket, and the kernel did not say.
    Unknown,
}

impl Who {
    /// The user, where there is one.
    pub(crate) const fn uid(&self) -> Option<u32> {
        match self {
            Self::User { uid, .. } => Some(*uid),
            Self::Tcp(_) | Self::Unknown => None,
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User { uid, gid, pid, .. } => {
                write!(f, "uid={uid} gid={} pid={}", Gid::from_raw(*gid), pid.unwrap_or_default())
            }
            Self::Tcp(address) => write!(f, "tcp={address}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 990;
    const OWNER: u32 = 991;

    fn access(allow: (&[u32], &[u32]), register: (&[u32], &[u32]), register_over_tcp: bool) -> Access {
        let list = |(users, groups): (&[u32], &[u32])| List {
            users: users.iter().copied().collect(),
            groups: groups.iter().copied().collect(),
        };
        Access { own: OWN, allow: list(allow), register: list(register), register_over_tcp }
    }

    fn user(uid: u32, gid: u32, groups: &[u32]) -> Who {
        Who::User { uid, gid, groups: groups.to_vec(), pid: Some(1) }
    }

    fn tcp() -> Who {
        Who::Tcp(([127, 0, 0, 1], 1).into())
    }

    /// `s` signs and reads, `r` has keys made as well, `-` does nothing.
    fn mark(access: &Access, who: &Who) -> char {
        match access.judge(who, Some(OWNER)) {
            Rights { serve: true, register: true } => 'r',
            Rights { serve: true, register: false } => 's',
            Rights { serve: false, register: false } => '-',
            odd => panic!("{who}: {odd:?}"),
        }
    }

    #[test]
    fn every_kind_of_client_gets_what_the_lists_say_and_nothing_else() {
        // root, own, owner, uid 1, member of group 7 by gid, by supplementary group, stranger, tcp, unknown
        let clients = [
            user(0, 0, &[]),
            user(OWN, 5, &[]),
            user(OWNER, 5, &[]),
            user(1, 5, &[]),
            user(2, 7, &[]),
            user(3, 5, &[6, 7]),
            user(4, 5, &[6]),
            tcp(),
            Who::Unknown,
        ];
        for (access, expected) in [
            (access((&[], &[]), (&[], &[]), false), "rrrsssss-"),
            (access((&[], &[]), (&[], &[]), true), "rrrssssr-"),
            (access((&[1], &[]), (&[], &[]), true), "rr-s-----"),
            (access((&[], &[7]), (&[], &[]), false), "rr--ss---"),
            (access((&[1], &[7]), (&[], &[]), false), "rr-sss---"),
            (access((&[], &[]), (&[1], &[]), false), "rrsrssss-"),
            (access((&[], &[]), (&[], &[7]), false), "rrssrrss-"),
            (access((&[1], &[]), (&[], &[7]), true), "rr-srr---"),
            (access((&[OWNER], &[]), (&[], &[]), false), "rrr------"),
            (access((&[OWNER], &[]), (&[1], &[]), false), "rrsr-----"),
        ] {
            let marks: String = clients.iter().map(|who| mark(&access, who)).collect();
            assert_eq!(marks, expected, "{access:?}");
        }
    }

    #[test]
    fn a_socket_without_an_owner_has_nobody_register_by_default() {
        let rights = access((&[], &[]), (&[], &[]), false).judge(&user(OWNER, 5, &[]), None);
        assert_eq!(rights, Rights { serve: true, register: false });
    }

    #[test]
    fn a_list_is_names_and_numbers_and_nothing_empty() {
        let name = |text: &str| Principal::Name(text.to_owned());
        for (text, expected) in [
            ("", Some(vec![])),
            ("0", Some(vec![Principal::Id(0)])),
            ("cryftgo, 1000 ,x-1", Some(vec![name("cryftgo"), Principal::Id(1000), name("x-1")])),
            (",", None),
            (" ", None),
            ("a,,b", None),
            ("a,", None),
            ("99999999999", None),
        ] {
            assert_eq!(principals(text), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_looked_up_and_an_unknown_one_is_an_error_that_names_it() {
        let named = |text: &str| principals(text).expect("a list");
        let settings =
            AccessSettings { allow_users: named("root,12345"), allow_groups: named("root"), ..Default::default() };
        let access = Access::resolve(&settings).expect("root is everywhere");
        assert_eq!(access.allow.users, HashSet::from([0, 12345]));
        assert_eq!(access.allow.groups, HashSet::from([0]));
        assert!(access.asks_for_groups());
        let settings = AccessSettings { register_groups: named("no-such-group"), ..Default::default() };
        let error = Access::resolve(&settings).expect_err("unknown").to_string();
        assert!(error.contains(env::REGISTER_GROUPS) && error.contains("no-such-group"), "{error}");
    }
}
