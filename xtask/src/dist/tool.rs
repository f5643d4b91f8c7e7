//! Calls of other programs, and files, with errors that say what was done.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs it and gives what it printed. Errors: it could not be started, or its last words.
pub(super) fn output<S: AsRef<std::ffi::OsStr>>(
    program: &str,
    arguments: &[S],
    folder: &Path,
) -> Result<String, String> {
    run(Command::new(program).args(arguments).current_dir(folder))
}

/// The same for a command with more to it than arguments.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ended = command
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("start {program}: {error}"))?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() {
        return Ok(said);
    }
    Err(format!("{program} ended with {}:\n{said}{}", ended.status, String::from_utf8_lossy(&ended.stderr).trim_end()))
}

/// Makes an empty folder, whatever was there.
pub(super) fn anew(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("remove {}: {error}", folder.display()));
        }
        _ => {}
    }
    fs::create_dir_all(folder).map_err(|error| format!("make {}: {error}", folder.display()))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("write {}: {error}", path.display()))
}

pub(super) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Compressed as Debian's policy wants it: best, and without name and time.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let describe = |error: std::io::Error| format!("compress with gzip: {error}");
    let mut gzip =
        Command::new("gzip").arg("-9n").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(describe)?;
    let mut input = gzip.stdin.take();
    // From a thread of its own: gzip waits for its output to be read.
    let ended = std::thread::scope(|scope| {
        let writer = scope.spawn(move || input.as_mut().map_or(Ok(()), |input| input.write_all(bytes)));
        let ended = gzip.wait_with_output();
        writer.join().map_err(|_| std::io::Error::other("its input was cut off"))??;
        ended
    });
    let ended = ended.map_err(describe)?;
    if ended.status.success() { Ok(ended.stdout) } else { Err(format!("gzip ended with {}", ended.status)) }
}
