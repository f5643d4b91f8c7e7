//! The environment as a layer: an unknown name under one of our prefixes, or a value that is not text, is an
//! error. Passed over, a misspelt `CRYFTGO_TRUST_REQUIER=always` would fail open. So would a restriction under the sidecar's own
//! name for it, because the sidecar gets these from the verifier's settings alone.

use std::collections::BTreeSet;
use std::ffi::OsString;

use contract::env;

use super::ConfigError;
use super::keys::KEYS;

/// The sidecar's lists, and the settings that fill them.
const RESTRICTIONS: [(&str, &str); 4] = [
    (env::ALLOW_USERS, "cryfttee.allow_users"),
    (env::ALLOW_GROUPS, "cryfttee.allow_groups"),
    (env::REGISTER_USERS, "cryfttee.register_users"),
    (env::REGISTER_GROUPS, "cryfttee.register_groups"),
];

/// Refuses names that look like settings and are none. Other `CRYFTGO_…` names are the node's own business.
pub(super) fn refuse_unknown(names: impl Iterator<Item = OsString>) -> Result<(), ConfigError> {
    let known: BTreeSet<String> = KEYS.iter().map(super::keys::Key::variable).collect();
    // CRYFTGO_TRUST_, CRYFTGO_WATCH_, …: one for each table of the configuration.
    let prefixes: BTreeSet<String> = KEYS
        .iter()
        .filter_map(|key| key.path.split_once('.'))
        .map(|(table, _)| format!("CRYFTGO_{}_", table.to_ascii_uppercase()))
        .collect();
    for name in names {
        let Some(name) = name.to_str() else { continue };
        if let Some((name, key)) = RESTRICTIONS.into_iter().find(|(restriction, _)| *restriction == name) {
            return Err(ConfigError::NotPassedOn { name, key });
        }
        if !known.contains(name) && prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            let path = name.trim_start_matches("CRYFTGO_").to_ascii_lowercase();
            return Err(ConfigError::UnknownVariable { name: name.to_owned(), hint: super::hint(&path) });
        }
    }
    Ok(())
}

/// The value of a variable as text.
pub(super) fn read(name: &str, value: Option<OsString>) -> Result<Option<String>, ConfigError> {
    value.map(|value| value.into_string().map_err(|_| ConfigError::NotText { name: name.to_owned() })).transpose()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn a_misspelt_setting_is_refused_and_the_nodes_own_names_are_not() {
        let check = |name: &str| refuse_unknown([OsString::from(name)].into_iter());
        for name in ["CRYFTGO_TRUST_REQUIER", "CRYFTGO_CRYFTTEE_SOCKETS", "CRYFTGO_WATCH_INTERVALL"] {
            assert!(check(name).is_err_and(|error| error.to_string().contains(name)), "{name}");
        }
        for name in ["CRYFTGO_TRUST_REQUIRE", "CRYFTGO_NETWORK_ID", "PATH"] {
            assert!(check(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_restriction_that_the_sidecar_would_not_see_is_refused_and_the_setting_named() {
        for (name, key) in RESTRICTIONS {
            let error = refuse_unknown([OsString::from(name)].into_iter()).expect_err("refused").to_string();
            assert!(error.contains(name) && error.contains(key), "{error}");
            assert!(KEYS.iter().any(|known| known.path == key), "{key}");
        }
    }

    #[test]
    fn a_value_that_is_not_text_is_refused() {
        let value = OsString::from_vec(vec![0xff]);
        assert!(matches!(read("CRYFTGO_TRUST_PINS", Some(value)), Err(ConfigError::NotText { .. })));
        assert_eq!(read("CRYFTGO_TRUST_PINS", None).expect("absent"), None);
    }
}
