//! A folder that looks like the root of a host with our files on it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::contents::{Content, Entry};

/// The staged tree.
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// An empty one, whatever was there.
    pub(crate) fn anew(root: PathBuf) -> Result<Self, String> {
        super::tool::anew(&root)?;
        set_mode(&root, 0o755)?;
        Ok(Self(root))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// Puts one file of a package in its place.
    pub(crate) fn put(&self, entry: &Entry) -> Result<(), String> {
        match &entry.content {
            Content::File(from) => self.copy(from, &entry.to, entry.mode),
            Content::Bytes(bytes) => {
                let to = self.place(&entry.to)?;
                fs::write(&to, bytes).map_err(|error| format!("write {}: {error}", to.display()))?;
                set_mode(&to, entry.mode)
            }
        }
    }

    /// `to` is a path from the root, without a slash before it.
    pub(crate) fn copy(&self, from: &Path, to: &str, mode: u32) -> Result<(), String> {
        let to = self.place(to)?;
        fs::copy(from, &to).map_err(|error| format!("copy {} to {}: {error}", from.display(), to.display()))?;
        set_mode(&to, mode)
    }

    /// The path of `to` in the tree, with its folders made: 0755 whatever the umask, because whoever unpacks takes
    /// their modes over.
    fn place(&self, to: &str) -> Result<PathBuf, String> {
        let path = self.0.join(to);
        let mut folder = self.0.clone();
        for part in Path::new(to).parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            fs::create_dir_all(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
            set_mode(&folder, 0o755)?;
        }
        Ok(path)
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| format!("set the mode of {}: {error}", path.display()))
}
