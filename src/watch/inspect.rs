//! One full look at the running sidecar: its image, its seals, its privileges, and whatever else it can execute.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use contract::Digest;

use super::process::{MappingFinding, ProcessFinding};
use crate::appraise::ReferenceValue;
use crate::config::Mappings;
use crate::fault::Fault as _;
use crate::launch;
use crate::measure::mappings::{self, Backing, Executable, FileId, Library, LibraryError, Mapping};
use crate::measure::{ImageFacts, PathCheck};
use crate::sys::RunAs;

/// What a look brought to light besides that all is well.
#[derive(Debug, Default)]
pub struct Looked {
    /// Libraries that were not there at the last look.
    pub added: Vec<(PathBuf, Digest)>,
    /// Libraries whose file was replaced on disk, as by an upgrade; the old one is mapped and held.
    pub replaced: Vec<PathBuf>,
    /// What the policy only reports, each once.
    pub reported: Vec<MappingFinding>,
    /// What should not be there: all of it, because one thing must not hide another. Tampering first.
    pub findings: Vec<ProcessFinding>,
}

/// What a reload can change.
#[derive(Debug)]
pub struct Rules {
    /// What is done about executable memory that nobody appraised.
    pub policy: Mappings,
    /// Whether the way to a library must be safe from other users.
    pub check_path: PathCheck,
    /// Libraries that may be mapped; where there are none, any that is safe on disk may.
    pub references: Vec<ReferenceValue>,
}

/// What is looked at, and what it is held against.
#[derive(Debug)]
pub struct Inspector {
    pid: u32,
    image: ImageFacts,
    run_as: Option<RunAs>,
    rules: Rules,
    /// The image as it was when it was first looked at.
    running: File,
    /// How `smaps` names it, once it was seen there.
    mapped_as: Option<FileId>,
    /// Where the image and the kernel's page lie. Chosen at random by each exec, and never changed in between.
    layout: Vec<String>,
    libraries: Vec<(Library, Told)>,
    /// What was reported.
    reported: BTreeSet<String>,
}

/// Whether it was told that a library's file was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Not,
    Yes,
}

impl Inspector {
    /// Looks at nothing yet. `running` is the image that [`launch::verify_running`] looked at.
    pub fn new(pid: u32, image: ImageFacts, running: File, run_as: Option<RunAs>, rules: Rules) -> Self {
        let (layout, libraries, reported) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { pid, image, run_as, rules, running, mapped_as: None, layout, libraries, reported }
    }

    /// Other rules from now on, as after a reload.
    pub fn change(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Step 5 of the contract once more, and the mappings. Reads files: for a thread of its own.
    ///
    /// # Errors
    /// Another image, or why the look could not be had; what else was found is in [`Looked::findings`].
    pub fn look(&mut self) -> Result<Looked, ProcessFinding> {
        let running = launch::verify_running(self.pid, self.image, self.run_as)?;
        let id = |file| FileId::of(file).map_err(ProcessFinding::Identify);
        if id(&running)? != id(&self.running)? {
            return Err(ProcessFinding::OtherFile);
        }
        let looked = self.look_at_mappings()?;
        if !looked.findings.is_empty() {
            // They may be the traces of another image that was executed since the look at it: that says more.
            launch::verify_running(self.pid, self.image, self.run_as)?;
        }
        Ok(looked)
    }

    /// What it executes besides its image, and what it forked: at the launch, when the image was just looked at, and
    /// before READY, when the loader has done its work.
    ///
    /// # Errors
    /// As for [`Inspector::look`].
    pub fn look_at_mappings(&mut self) -> Result<Looked, ProcessFinding> {
        let mut looked = Looked::default();
        if self.rules.policy == Mappings::Off {
            return Ok(looked);
        }
        let read = |source| ProcessFinding::ReadMappings { pid: self.pid, source };
        let Executable { mappings, too_many } = mappings::executable(self.pid).map_err(read)?;
        if mappings.is_empty() {
            // Only a process that is gone, or almost, executes nothing.
            return Err(read(io::Error::from(io::ErrorKind::NotFound)));
        }
        for mapping in &mappings {
            let found = self.account_for(mapping, &mut looked);
            looked.findings.extend(found.err());
        }
        if too_many {
            looked.findings.push(MappingFinding::TooMany.into());
        }
        looked.findings.extend(self.compare_layout(&mappings).err());
        if let Some(launch::Forked { pid, name }) = launch::forked_by(self.pid) {
            let found = self.found(MappingFinding::Forked { pid, name }, &mut looked);
            looked.findings.extend(found.err());
        }
        self.measure_libraries(&mappings, &mut looked);
        looked.findings.sort_by_key(|finding| !finding.is_tampering());
        Ok(looked)
    }

    /// What a sidecar may show by design is reported where the policy says so; anything else is a finding.
    fn found(&mut self, finding: MappingFinding, looked: &mut Looked) -> Result<(), ProcessFinding> {
        /// Each about another thing: more than that, and somebody makes them up.
        const MOST: usize = 256;
        if self.rules.policy != Mappings::Report || !finding.may_be_by_design() {
            return Err(finding.into());
        }
        if self.reported.len() < MOST && self.reported.insert(finding.about()) {
            looked.reported.push(finding);
        }
        Ok(())
    }

    fn account_for(&mut self, mapping: &Mapping, looked: &mut Looked) -> Result<(), ProcessFinding> {
        let range = || mapping.range.clone();
        let kernel = Path::new("[vdso]");
        let (id, path) = match &mapping.backing {
            _ if mapping.writable => return self.found(MappingFinding::Writable { range: range() }, looked),
            Backing::Anonymous => return self.found(MappingFinding::Anonymous { range: range() }, looked),
            Backing::Kernel => (None, kernel),
            Backing::File { id, path } => (Some(*id), path.as_path()),
        };
        // The kernel's page can be written through /proc/<pid>/mem like any other.
        if mapping.private_kib > 0 {
            return Err(MappingFinding::Patched { path: path.to_owned(), kib: mapping.private_kib }.into());
        }
        let Some(id) = id else { return Ok(()) };
        if self.is_image(id)? || self.libraries.iter().any(|(library, _)| library.id == id) {
            return Ok(());
        }
        let library = match Library::open(path, id, self.rules.check_path) {
            Ok(library) => library,
            Err(source) => return Err(self.unaccounted(path, source)),
        };
        let references = &self.rules.references;
        if !references.is_empty() && references.iter().all(|value| value.digest != library.digest) {
            return Err(MappingFinding::UnknownLibrary { path: path.to_owned(), digest: library.digest }.into());
        }
        looked.added.push((library.path.clone(), library.digest));
        self.libraries.push((library, Told::Not));
        Ok(())
    }

    fn is_image(&mut self, id: FileId) -> Result<bool, ProcessFinding> {
        match self.mapped_as {
            Some(known) => Ok(known == id),
            None => {
                let same = mappings::same_file(&self.running, id).map_err(ProcessFinding::Identify)?;
                self.mapped_as = same.then_some(id);
                Ok(same)
            }
        }
    }

    /// A mapped file that is not there any more was replaced by an upgrade of the host where one as safe stands under its
    /// name now; anything else is tampering.
    fn unaccounted(&self, path: &Path, source: LibraryError) -> ProcessFinding {
        let name = path.to_string_lossy();
        let upgraded = name.strip_suffix(" (deleted)").map(PathBuf::from);
        match upgraded {
            Some(path) if Library::is_safe(&path, self.rules.check_path) => ProcessFinding::Outdated { path },
            _ if matches!(source, LibraryError::Replaced { .. }) => ProcessFinding::Outdated { path: path.to_owned() },
            _ => MappingFinding::Unaccounted { path: path.to_owned(), source }.into(),
        }
    }

    /// Where the image and the kernel's page lie is chosen at random by each exec: other places mean that the process
    /// executed something since, be it the same image, with other arguments and another environment.
    fn compare_layout(&mut self, found: &[Mapping]) -> Result<(), ProcessFinding> {
        let fixed = |mapping: &&Mapping| match &mapping.backing {
            Backing::Kernel => true,
            Backing::File { id, .. } => Some(*id) == self.mapped_as,
            Backing::Anonymous => false,
        };
        let layout: Vec<String> = found.iter().filter(fixed).map(|mapping| mapping.range.clone()).collect();
        if self.layout.is_empty() {
            self.layout = layout;
        } else if layout != self.layout {
            return Err(ProcessFinding::ExecutedAnew { pid: self.pid });
        }
        Ok(())
    }

    fn measure_libraries(&mut self, found: &[Mapping], looked: &mut Looked) {
        // What is no longer mapped cannot be executed.
        let is_mapped =
            |id: FileId| found.iter().any(|m| matches!(&m.backing, Backing::File { id: of, .. } if *of == id));
        self.libraries.retain(|(library, _)| is_mapped(library.id));
        for (library, told) in &mut self.libraries {
            let path = library.path.clone();
            match library.measure() {
                Ok(found) if found == library.digest => {}
                Ok(found) => {
                    let changed = MappingFinding::LibraryChanged { path, expected: library.digest, found };
                    looked.findings.push(changed.into());
                    continue;
                }
                Err(source) => {
                    looked.findings.push(ProcessFinding::MeasureLibrary { path, source });
                    continue;
                }
            }
            if *told == Told::Not && library.was_replaced() {
                *told = Told::Yes;
                looked.replaced.push(path);
            }
        }
    }
}
