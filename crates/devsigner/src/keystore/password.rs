//! Passwords as EIP-2335 wants them.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// A password in its normal form: NFKD, without control codes, as UTF-8. Wiped when dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Brings a password into the form that the EIP hashes. A newline at the end of a password file is a
    /// control code, so it goes too.
    pub fn new(text: &str) -> Self {
        let normal = || text.nfkd().filter(|c| !c.is_control());
        // Measured first, because a string that grows leaves copies of the password behind it.
        let mut password = Zeroizing::new(String::with_capacity(normal().map(char::len_utf8).sum()));
        password.extend(normal());
        Self(password)
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_the_eip_becomes_the_bytes_that_the_eip_gives() {
        let password = Password::new("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑");
        assert_eq!(hex::encode(password.as_bytes()), "7465737470617373776f7264f09f9491");
    }

    #[test]
    fn control_codes_are_stripped_and_spaces_are_not() {
        let all_controls: String = ('\u{0}'..='\u{1f}').chain('\u{7f}'..='\u{9f}').collect();
        assert!(Password::new(&all_controls).is_empty());
        assert_eq!(Password::new("pass word\r\n").as_bytes(), b"pass word");
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(format!("{:?}", Password::new("secret")), "Password(…)");
    }
}
