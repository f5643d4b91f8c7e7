//! The JSON of a keystore.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::kdf::Kdf;
use super::{KeystoreError, Password, cipher, hex_text};
use crate::keys::{Curve, SecretBytes};

const VERSION: u32 = 4;

/// An encrypted secret key, as it stands in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Keystore {
    crypto: Crypto,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default)]
    pubkey: String,
    // The EIP asks for it; some tools leave it out where the key was not derived.
    #[serde(default)]
    path: String,
    uuid: String,
    version: u32,
    /// Not in the EIP; absent for BLS, the one curve that the EIP knows.
    #[serde(default, rename = "cryft_curve", skip_serializing_if = "Option::is_none")]
    curve: Option<Curve>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Crypto {
    kdf: Step<Kdf>,
    checksum: Step<Checksum>,
    cipher: Step<Cipher>,
}

/// What the EIP calls a module: a function, its parameters and a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step<F> {
    #[serde(flatten)]
    function: F,
    #[serde(with = "hex_text")]
    message: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "function", content = "params", rename_all = "lowercase")]
enum Checksum {
    Sha256 {},
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "function", content = "params")]
enum Cipher {
    #[serde(rename = "aes-128-ctr")]
    Aes128Ctr {
        #[serde(with = "hex_text")]
        iv: Vec<u8>,
    },
}

impl Keystore {
    /// Reads a keystore without opening it.
    ///
    /// # Errors
    /// [`KeystoreError::Parse`], [`KeystoreError::Version`].
    pub fn parse(json: &[u8]) -> Result<Self, KeystoreError> {
        let keystore: Self = serde_json::from_slice(json).map_err(KeystoreError::Parse)?;
        if keystore.version == VERSION { Ok(keystore) } else { Err(KeystoreError::Version(keystore.version)) }
    }

    /// Encrypts `secret` under `password`. `pubkey` is hex without `0x`.
    ///
    /// # Errors
    /// [`KeystoreError::Random`] when there are no random bytes for the salt.
    pub fn seal(
        curve: Curve,
        pubkey: String,
        secret: &SecretBytes,
        password: &Password,
    ) -> Result<Self, KeystoreError> {
        let kdf = Kdf::fresh()?;
        let key = kdf.derive(password)?;
        let iv = random()?;
        let mut text = secret.to_vec();
        cipher::apply(&key, &iv, &mut text);
        let checksum = cipher::checksum(&key, &text).to_vec();
        Ok(Self {
            crypto: Crypto {
                kdf: Step { function: kdf, message: Vec::new() },
                checksum: Step { function: Checksum::Sha256 {}, message: checksum },
                cipher: Step { function: Cipher::Aes128Ctr { iv: iv.to_vec() }, message: text },
            },
            description: Some("made by cryfttee-devsigner, for development only".to_owned()),
            pubkey,
            // The EIP: empty where the key was not derived from another.
            path: String::new(),
            uuid: uuid_v4(random()?),
            version: VERSION,
            curve: (curve != Curve::Bls).then_some(curve),
        })
    }

    /// Decrypts the secret.
    ///
    /// # Errors
    /// [`KeystoreError::Checksum`] for a wrong password or a damaged file, [`KeystoreError::Parameters`],
    /// [`KeystoreError::SecretLength`].
    pub fn open(&self, password: &Password) -> Result<SecretBytes, KeystoreError> {
        let Cipher::Aes128Ctr { iv } = &self.crypto.cipher.function;
        let iv: [u8; 16] =
            iv.as_slice().try_into().map_err(|_| KeystoreError::Parameters("the iv must have 16 bytes"))?;
        let ciphertext = &self.crypto.cipher.message;
        let mut secret = Zeroizing::new([0; 32]);
        if ciphertext.len() != secret.len() {
            return Err(KeystoreError::SecretLength(ciphertext.len()));
        }
        let key = self.crypto.kdf.function.derive(password)?;
        if cipher::checksum(&key, ciphertext).as_slice() != self.crypto.checksum.message {
            return Err(KeystoreError::Checksum);
        }
        secret.copy_from_slice(ciphertext);
        cipher::apply(&key, &iv, secret.as_mut());
        Ok(secret)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`KeystoreError::Write`].
    pub fn to_json(&self) -> Result<Vec<u8>, KeystoreError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(KeystoreError::Write)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Which kind of key it says it holds.
    pub fn curve(&self) -> Curve {
        self.curve.unwrap_or(Curve::Bls)
    }

    /// The public key that it says it holds, as written; empty where it does not say.
    pub fn pubkey(&self) -> &str {
        &self.pubkey
    }

    /// The path by which the key was derived; empty where it was not.
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn random() -> Result<[u8; 16], KeystoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(KeystoreError::Random)?;
    Ok(bytes)
}

/// The text of a random UUID (RFC 9562, version 4).
fn uuid_v4(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::bls::BlsKey;

    const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
    const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
    const PUBKEY: &str =
        "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07";

    /// Both vectors share everything but the KDF, the checksum and the ciphertext.
    fn vector(kdf: &str, checksum: &str, ciphertext: &str, path: &str, uuid: &str) -> String {
        format!(
            r#"{{"crypto":{{"kdf":{kdf},
                 "checksum":{{"function":"sha256","params":{{}},"message":"{checksum}"}},
                 "cipher":{{"function":"aes-128-ctr","params":{{"iv":"264daa3f303d7259501c93d997d84fe6"}},
                            "message":"{ciphertext}"}}}},
                "description":"a test keystore","pubkey":"{PUBKEY}","path":"{path}","uuid":"{uuid}","version":4}}"#
        )
    }

    fn pbkdf2_vector() -> String {
        vector(
            r#"{"function":"pbkdf2","params":{"dklen":32,"c":262144,"prf":"hmac-sha256",
                "salt":"d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"},"message":""}"#,
            "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1",
            "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad",
            "m/12381/60/0/0",
            "64625def-3331-4eea-ab6f-782f3ed16a83",
        )
    }

    fn assert_opens(json: &str) {
        let keystore = Keystore::parse(json.as_bytes()).expect("a keystore");
        let secret = keystore.open(&Password::new(PASSWORD)).expect("the password of the vector");
        assert_eq!(hex::encode(secret.as_ref()), SECRET);
        let key = BlsKey::from_secret(&secret).expect("a key");
        assert_eq!(hex::encode(key.public().as_bytes()), PUBKEY);
        assert_eq!(keystore.pubkey(), PUBKEY);
        assert_eq!(keystore.curve(), Curve::Bls);
    }

    #[test]
    fn the_scrypt_vector_of_the_eip_opens() {
        assert_opens(&vector(
            r#"{"function":"scrypt","params":{"dklen":32,"n":262144,"p":1,"r":8,
                "salt":"d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"},"message":""}"#,
            "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484",
            "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
            "m/12381/60/3141592653/589793238",
            "1d85ae20-35c5-4611-98e8-aa14a633906f",
        ));
    }

    #[test]
    fn the_pbkdf2_vector_of_the_eip_opens() {
        assert_opens(&pbkdf2_vector());
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_password_only() {
        let secret: SecretBytes = Zeroizing::new([7; 32]);
        for curve in [Curve::Bls, Curve::Secp256k1] {
            let sealed = Keystore::seal(curve, "ab".to_owned(), &secret, &Password::new("right")).expect("sealed");
            let read = Keystore::parse(&sealed.to_json().expect("json")).expect("read back");
            assert_eq!(read.curve(), curve);
            assert_eq!(*read.open(&Password::new("right")).expect("opens"), *secret);
            assert!(matches!(read.open(&Password::new("wrong")), Err(KeystoreError::Checksum)));
        }
    }

    #[test]
    fn two_keystores_of_one_secret_share_no_salt_no_iv_and_no_uuid() {
        let secret: SecretBytes = Zeroizing::new([7; 32]);
        let seal = || Keystore::seal(Curve::Bls, String::new(), &secret, &Password::new("p")).expect("sealed");
        let (one, two) = (seal(), seal());
        assert_ne!(one.crypto.kdf.function, two.crypto.kdf.function);
        assert_ne!(one.crypto.cipher.message, two.crypto.cipher.message);
        assert_ne!(one.uuid, two.uuid);
    }

    #[test]
    fn only_a_secp256k1_keystore_says_its_curve() {
        let secret: SecretBytes = Zeroizing::new([7; 32]);
        let text = |curve| {
            let keystore = Keystore::seal(curve, String::new(), &secret, &Password::new("p")).expect("sealed");
            String::from_utf8(keystore.to_json().expect("json")).expect("utf-8")
        };
        assert!(!text(Curve::Bls).contains("cryft_curve"));
        assert!(text(Curve::Secp256k1).contains(r#""cryft_curve": "secp256k1""#));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_ciphertext_is_found() {
        let secret: SecretBytes = Zeroizing::new([7; 32]);
        let password = Password::new("p");
        let sealed = Keystore::seal(Curve::Bls, String::new(), &secret, &password).expect("sealed");
        for byte in 0..32 {
            let mut damaged = sealed.clone();
            damaged.crypto.cipher.message[byte] ^= 1;
            assert!(matches!(damaged.open(&password), Err(KeystoreError::Checksum)), "byte {byte}");
        }
    }

    #[test]
    fn another_version_function_or_length_is_refused() {
        let good = pbkdf2_vector();
        let parse = |text: String| Keystore::parse(text.as_bytes());
        assert!(matches!(parse(good.replace("\"version\":4", "\"version\":3")), Err(KeystoreError::Version(3))));
        for (from, to) in
            [("pbkdf2", "argon2"), ("hmac-sha256", "hmac-md5"), ("\"sha256\"", "\"md5\""), ("aes-128-ctr", "rot13")]
        {
            assert!(matches!(parse(good.replace(from, to)), Err(KeystoreError::Parse(_))), "{to}");
        }
        let short = parse(good.replace("cee03f", "")).expect("still JSON");
        assert!(matches!(short.open(&Password::new(PASSWORD)), Err(KeystoreError::SecretLength(29))));
    }

    #[test]
    fn a_uuid_has_the_version_and_the_variant_of_a_random_one() {
        assert_eq!(uuid_v4([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid_v4([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
