//! The files of an imported key: its keystore and its password as they came, and the key file that names both.
//!
//! As with Web3Signer they are called `0x<pubkey>` and `.json`, `.password` or `.yaml`. The key file is written last and
//! removed first: without it the other two are no key, and are left alone.

use std::path::{Path, PathBuf};

use contract::BlsPublicKey;

use super::StoreError;
use super::folder::Folder;

/// Where the files of one imported key are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImportedFiles {
    pub(super) key_file: PathBuf,
    pub(super) keystore: PathBuf,
    pub(super) password: PathBuf,
}

impl ImportedFiles {
    pub(super) fn of(folder: &Folder, public: &BlsPublicKey) -> Self {
        Self::beside(&folder.join(&public.to_string()))
    }

    /// The files of the key that `path`, any one of them, is called after. None if it is called otherwise.
    pub(super) fn called_as(path: &Path) -> Option<(BlsPublicKey, Self)> {
        let name = path.file_stem()?.to_str()?;
        let public = BlsPublicKey::normalise(name).ok()?;
        // One spelling only: another one is the name of a file that somebody else wrote.
        (public.to_string() == name).then(|| (public, Self::beside(path)))
    }

    /// The files of an import that `path`, any one of them, is of.
    pub(super) fn beside(path: &Path) -> Self {
        Self {
            key_file: path.with_extension("yaml"),
            keystore: path.with_extension("json"),
            password: path.with_extension("password"),
        }
    }

    /// Whether a key file names these.
    pub(super) fn are(&self, keystore: &Path, password: &Path) -> bool {
        self.keystore == keystore && self.password == password
    }

    /// The order in which they are removed.
    pub(super) fn into_paths(self) -> [PathBuf; 3] {
        [self.key_file, self.keystore, self.password]
    }

    /// Writes them, each whole. If one cannot be written, none stays that was not there before.
    pub(super) fn write(&self, folder: &Folder, json: &str, password: &str) -> Result<(), StoreError> {
        let [key_file, keystore, password_file] =
            [&self.key_file, &self.keystore, &self.password].map(|path| name(path));
        let text = format!(
            "type: \"file-keystore\"\nkeyType: \"BLS\"\nkeystoreFile: \"{keystore}\"\nkeystorePasswordFile: \"{password_file}\"\n"
        );
        let new: Vec<&PathBuf> =
            [&self.key_file, &self.keystore, &self.password].into_iter().filter(|path| !path.exists()).collect();
        let write = || {
            // The password first: a keystore of this name is known for an import's by the password beside it.
            folder.write(&password_file, password.as_bytes())?;
            folder.write(&keystore, json.as_bytes())?;
            folder.write(&key_file, text.as_bytes()).map(drop)
        };
        write().inspect_err(|_| {
            for path in new {
                // The first error is the one to tell.
                let _ = folder.remove(path);
            }
        })
    }
}

/// Whether a keystore is an import's, whose password is beside it: with a key file or, after a crash, without.
pub(super) fn is_keystore_of_import(path: &Path) -> bool {
    ImportedFiles::called_as(path).is_some_and(|(_, files)| files.password.exists())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_of_a_key_names_an_import() {
        let digits = "ab".repeat(48);
        let called = |name: &str| ImportedFiles::called_as(&Path::new("/keys").join(name));
        let (public, files) = called(&format!("0x{digits}.yaml")).expect("an import's name");
        assert_eq!(public.to_string(), format!("0x{digits}"));
        assert_eq!(
            files.into_paths().map(|path| name(&path)),
            ["yaml", "json", "password"].map(|extension| { format!("0x{digits}.{extension}") })
        );
        for other in [format!("{digits}.yaml"), format!("0x{}.yaml", digits.to_uppercase()), "a.yaml".to_owned()] {
            assert_eq!(called(&other), None, "{other}");
        }
    }
}
