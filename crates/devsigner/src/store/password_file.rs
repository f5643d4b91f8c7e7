//! The password under which the keystores of the directory are encrypted, those apart that a key file names.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::StoreError;
use super::folder::{self, Folder};
use crate::keystore::Password;

/// Where the password is when nobody says otherwise.
const NAME: &str = "password";

/// Reads a password that somebody named. That file is never made: a misspelt path must not become a new password.
pub(super) fn read(path: &Path) -> Result<Password, StoreError> {
    let password = read_any(path, folder::MAX_FILE)?;
    if password.is_empty() { Err(StoreError::BadPassword { path: path.to_owned() }) } else { Ok(password) }
}

/// The same for a password that may be empty, as that of an import.
pub(super) fn read_any(path: &Path, limit: u64) -> Result<Password, StoreError> {
    let content = folder::read_up_to(path, limit)?;
    let text = std::str::from_utf8(&content).map_err(|_| StoreError::BadPassword { path: path.to_owned() })?;
    Ok(Password::new(text))
}

/// The store's password: the user's, or its own, which is drawn when the first keystore is written.
pub(super) struct StorePassword(OnceLock<Password>);

impl StorePassword {
    /// # Errors
    /// [`StoreError`], if there is a password that cannot be read.
    pub(super) fn open(folder: &Folder, named: Option<&Path>) -> Result<Self, StoreError> {
        let own = folder.join(NAME);
        let password = match named {
            Some(path) => Some(read(path)?),
            None if own.exists() => Some(read(&own)?),
            None => None,
        };
        Ok(Self(password.map_or_else(OnceLock::new, OnceLock::from)))
    }

    /// The password of keystores that are there. Another signer may have drawn it since this one started.
    pub(super) fn of_keystores(&self, folder: &Folder) -> Result<&Password, StoreError> {
        if let Some(password) = self.0.get() {
            return Ok(password);
        }
        let path = folder.join(NAME);
        let password = match read(&path) {
            Err(StoreError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::LostPassword { path });
            }
            outcome => outcome?,
        };
        Ok(self.0.get_or_init(|| password))
    }

    /// The password of a keystore that is about to be written: drawn if there is none, and no keystore either.
    pub(super) fn of_new_keystore(
        &self,
        folder: &Folder,
        own_keystores: impl FnOnce() -> Result<bool, StoreError>,
    ) -> Result<&Password, StoreError> {
        match self.of_keystores(folder) {
            Err(StoreError::LostPassword { .. }) => {}
            outcome => return outcome,
        }
        // Of keystores without a password: a new one would open none of them, and would bury the reason.
        if !own_keystores()? {
            let mut random = Zeroizing::new([0; 32]);
            getrandom::fill(random.as_mut()).map_err(StoreError::Random)?;
            let text = Zeroizing::new(hex::encode(random.as_ref()));
            // Another signer that draws one at this moment may win; then its password is read, not this one.
            folder.write_new(NAME, text.as_bytes())?;
        }
        // In any case: another signer makes its password before its first keystore.
        self.of_keystores(folder)
    }
}
