//! From a password to the keystore's key: scrypt or PBKDF2.

use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KeystoreError, Password, hex_text};

/// Most memory that the table of a keystore's scrypt may take: what the EIP's own parameters take. A hostile file must
/// not be able to demand gigabytes.
pub const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;
/// Most parallel lanes of scrypt; they run one after the other here, so they cost time.
pub const MAX_SCRYPT_LANES: u32 = 8;
/// Most rounds of PBKDF2: four times those of the EIP's vector.
pub const MAX_PBKDF2_ROUNDS: u32 = 1 << 20;
/// Rounds for the keystores that are written here.
///
/// Few, on purpose. Stretching protects a password that can be guessed; the one that the store draws has 256
/// random bits and cannot be. And a key must be made, and a folder of keys loaded, in a few milliseconds: the
/// whole system is to be ready in under a second.
pub const WRITTEN_PBKDF2_ROUNDS: u32 = 1024;

/// Length of the derived key: 16 bytes for the cipher, 16 for the checksum.
const DERIVED: u32 = 32;

/// The derived key; wiped when dropped.
pub(super) type DerivedKey = Zeroizing<[u8; DERIVED as usize]>;

/// The key derivation of a keystore and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "function", content = "params", rename_all = "lowercase")]
pub enum Kdf {
    /// scrypt (RFC 7914).
    Scrypt {
        /// Length of the derived key.
        dklen: u32,
        /// Cost in time and memory, a power of two.
        n: u32,
        /// Lanes.
        p: u32,
        /// Block size.
        r: u32,
        /// Salt.
        #[serde(with = "hex_text")]
        salt: Vec<u8>,
    },
    /// PBKDF2 (RFC 8018).
    Pbkdf2 {
        /// Length of the derived key.
        dklen: u32,
        /// Rounds.
        c: u32,
        /// The pseudo-random function.
        prf: Prf,
        /// Salt.
        #[serde(with = "hex_text")]
        salt: Vec<u8>,
    },
}

/// The pseudo-random function of PBKDF2; the EIP knows one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prf {
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

impl Kdf {
    /// What new keystores are written with.
    ///
    /// # Errors
    /// [`KeystoreError::Random`] when there is no salt to be had.
    pub(super) fn fresh() -> Result<Self, KeystoreError> {
        let mut salt = vec![0; 32];
        getrandom::fill(&mut salt).map_err(KeystoreError::Random)?;
        Ok(Self::Pbkdf2 { dklen: DERIVED, c: WRITTEN_PBKDF2_ROUNDS, prf: Prf::HmacSha256, salt })
    }

    /// Derives the key, after checking that the parameters ask for a bounded amount of work and memory.
    ///
    /// # Errors
    /// [`KeystoreError::Parameters`] when they do not.
    pub(super) fn derive(&self, password: &Password) -> Result<DerivedKey, KeystoreError> {
        use KeystoreError::Parameters;
        let mut key = Zeroizing::new([0; DERIVED as usize]);
        match self {
            Self::Scrypt { dklen: DERIVED, n, p, r, salt } => {
                if !n.is_power_of_two() || *n < 2 {
                    return Err(Parameters("scrypt n must be a power of two above 1"));
                }
                // scrypt holds a table of 128·n·r bytes and lanes of 128·p·r bytes together.
                if (u64::from(*n.max(p)) * u64::from(*r)).saturating_mul(128) > MAX_SCRYPT_BYTES {
                    return Err(Parameters("scrypt would take more than 256 MiB"));
                }
                if *p > MAX_SCRYPT_LANES {
                    return Err(Parameters("scrypt p is above 8"));
                }
                let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| Parameters("scrypt n is too large"))?;
                let params =
                    scrypt::Params::new(log_n, *r, *p).map_err(|_| Parameters("scrypt refuses this n, r and p"))?;
                scrypt::scrypt(password.as_bytes(), salt, &params, key.as_mut())
                    .map_err(|_| Parameters("scrypt refuses the length of the key"))?;
            }
            Self::Pbkdf2 { dklen: DERIVED, c, prf: Prf::HmacSha256, salt } => {
                if !(1..=MAX_PBKDF2_ROUNDS).contains(c) {
                    return Err(Parameters("pbkdf2 c is 0 or above 1,048,576"));
                }
                pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, *c, key.as_mut());
            }
            Self::Scrypt { .. } | Self::Pbkdf2 { .. } => return Err(Parameters("dklen must be 32")),
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrypt(dklen: u32, n: u32, p: u32, r: u32) -> Kdf {
        Kdf::Scrypt { dklen, n, p, r, salt: vec![0; 32] }
    }

    fn pbkdf2(dklen: u32, c: u32) -> Kdf {
        Kdf::Pbkdf2 { dklen, c, prf: Prf::HmacSha256, salt: vec![0; 32] }
    }

    #[test]
    fn parameters_that_demand_too_much_or_nothing_are_refused_before_any_work() {
        let started = std::time::Instant::now();
        for kdf in [
            scrypt(32, 1 << 19, 1, 8),
            scrypt(32, 1 << 31, 1, u32::MAX),
            scrypt(32, 2, u32::MAX, 1),
            scrypt(32, 2, 8, 1 << 20),
            scrypt(32, 0, 1, 8),
            scrypt(32, 1, 1, 8),
            scrypt(32, 1000, 1, 8),
            scrypt(32, 16, 0, 8),
            scrypt(32, 16, 1, 0),
            scrypt(16, 16, 1, 8),
            pbkdf2(32, 0),
            pbkdf2(32, u32::MAX),
            pbkdf2(64, 1),
        ] {
            let outcome = kdf.derive(&Password::new("x"));
            assert!(matches!(outcome, Err(KeystoreError::Parameters(_))), "{kdf:?}");
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(1));
    }

    #[test]
    fn the_parameters_of_the_eip_are_within_bounds() {
        const { assert!(128 * 262_144 * 8 <= MAX_SCRYPT_BYTES) };
        const { assert!(262_144 <= MAX_PBKDF2_ROUNDS) };
    }
}
