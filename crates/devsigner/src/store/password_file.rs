//! The password under which every keystore of the folder is encrypted.

use std::path::Path;

use zeroize::Zeroizing;

use super::StoreError;
use super::folder::{self, Folder};
use crate::keystore::Password;

/// Where the password is when nobody says otherwise.
const NAME: &str = "password";

/// Reads the password that the user named. That file is never made: a misspelt path must not become a new
/// password.
pub(super) fn read(path: &Path) -> Result<Password, StoreError> {
    let content = folder::read(path)?;
    let password = std::str::from_utf8(&content).map(Password::new);
    match password {
        Ok(password) if !password.is_empty() => Ok(password),
        _ => Err(StoreError::BadPassword { path: path.to_owned() }),
    }
}

/// Reads the folder's own password, and draws it at first use.
pub(super) fn read_or_draw(folder: &Folder) -> Result<Password, StoreError> {
    let path = folder.join(NAME);
    if !path.exists() && folder.keystores()?.is_empty() {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(random.as_mut()).map_err(StoreError::Random)?;
        let text = Zeroizing::new(hex::encode(random.as_ref()));
        // Another signer that starts at this moment may win; then its password is read, not this one.
        folder.write_new(NAME, text.as_bytes())?;
    }
    // Of keystores without a password: a new one would open none of them, and would bury the reason. Looked at after the
    // keystores, because another signer that starts at this moment makes its password before its first key.
    if !path.exists() {
        return Err(StoreError::LostPassword { path });
    }
    read(&path)
}
