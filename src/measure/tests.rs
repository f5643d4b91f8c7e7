use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::symlink;

use super::*;
use crate::config::ImageKind;

fn program() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("program");
    std::fs::copy("/proc/self/exe", &path).expect("copy");
    (folder, path)
}

#[test]
fn the_digest_is_that_of_the_bytes() {
    let mut file = tempfile::tempfile().expect("file");
    file.write_all(b"abc").expect("write");
    let (digest, size) = digest(&file, &Progress::default()).expect("digest");
    assert_eq!(digest.to_string(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(size, 3);
}

#[test]
fn a_sealed_image_has_the_digest_of_the_file_and_takes_no_writes() {
    let (_folder, path) = program();
    let image = seal(&path, ImageKind::Sealed, PathCheck::Off, &Progress::default()).expect("sealed");
    assert_eq!(image.digest(), digest(&File::open(&path).expect("open"), &Progress::default()).expect("digest").0);
    let copy = File::from(image.as_fd().try_clone_to_owned().expect("clone"));
    assert!(!lost_seals(&copy).expect("seals"));
    assert!(copy.write_at(b"evil", 0).is_err());
    assert!(copy.set_len(0).is_err());
}

#[test]
fn a_write_to_the_file_after_the_copy_does_not_reach_the_image() {
    let (_folder, path) = program();
    let image = seal(&path, ImageKind::Sealed, PathCheck::Off, &Progress::default()).expect("sealed");
    std::fs::write(&path, b"evil").expect("write");
    let copy = File::from(image.as_fd().try_clone_to_owned().expect("clone"));
    assert_eq!(digest(&copy, &Progress::default()).expect("digest").0, image.digest());
}

#[test]
fn what_is_no_program_is_refused_and_nothing_hangs() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("script"), "#!/bin/sh\n").expect("write");
    std::fs::write(at("empty"), "").expect("write");
    symlink("/proc/self/exe", at("link")).expect("link");
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    let refusal =
        |name: &str| seal(&at(name), ImageKind::Sealed, PathCheck::Off, &Progress::default()).expect_err("refused");
    assert!(matches!(refusal("script"), MeasureError::NotRunnable { source: NotRunnable::Script, .. }));
    assert!(matches!(refusal("empty"), MeasureError::Empty { .. }));
    assert!(matches!(refusal("fifo"), MeasureError::NotAFile { .. }));
    assert!(matches!(refusal("link"), MeasureError::Open { .. }));
    assert!(matches!(refusal("absent"), MeasureError::Open { .. }));
    assert!(matches!(refusal("."), MeasureError::NotAFile { .. }));
    assert!(matches!(
        seal(Path::new("/dev/zero"), ImageKind::Sealed, PathCheck::Off, &Progress::default()),
        Err(MeasureError::NotAFile { .. })
    ));
}

#[test]
fn a_sparse_file_of_a_terabyte_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("huge");
    File::create(&path).expect("create").set_len(1 << 40).expect("sparse");
    assert!(matches!(
        seal(&path, ImageKind::Sealed, PathCheck::Off, &Progress::default()),
        Err(MeasureError::TooLarge { .. })
    ));
}

#[test]
fn the_running_image_of_this_process_is_measured() {
    let own = digest(&File::open("/proc/self/exe").expect("open"), &Progress::default()).expect("digest").0;
    assert_eq!(running(std::process::id()).expect("running"), own);
}

#[test]
fn progress_counts_every_byte_of_the_copy_and_of_the_hash() {
    let (_folder, path) = program();
    let progress = Progress::default();
    let image = seal(&path, ImageKind::Sealed, PathCheck::Off, &progress).expect("sealed");
    assert_eq!(progress.bytes(), 2 * image.size());
}

#[test]
fn a_read_that_fails_is_an_error_and_never_the_end_of_the_file() {
    // The kernel answers EIO for the first page of a process's memory, which nothing is mapped at.
    let memory = File::open("/proc/self/mem").expect("open");
    let error = digest(&memory, &Progress::default()).expect_err("nothing is mapped at 0");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    // A regular file with a size whose content cannot be read: loopback has no speed.
    let unreadable = Path::new("/sys/class/net/lo/speed");
    let sealed = seal(unreadable, ImageKind::Sealed, PathCheck::Off, &Progress::default());
    assert!(matches!(sealed, Err(MeasureError::Copy { .. })), "{sealed:?}");
}
