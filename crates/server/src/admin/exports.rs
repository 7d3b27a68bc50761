//! Exports: written to a file or stdout, and imported from a file or stdin.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::draft::Draft;
use super::progress::Progress;
use super::reach::{Missing, claim};
use super::source::Source;
use super::{AdminError, print};
use crate::store::{PublicationStore, Store};
use crate::transfer::{LINE_BYTES_MAX, TakeError, Taken, is_end, take_in};

/// Writes all that a server knows into a new file, or to stdout.
pub(super) fn export(data_dir: &Path, target: &Path) -> Result<(), AdminError> {
    if is_standard(target) {
        return match copy_lines(Source::open(data_dir)?, io::stdout().lock()) {
            // Whoever reads it has seen enough.
            Err(AdminError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            copied => copied.map(drop),
        };
    }
    let draft = Draft::file(target).map_err(AdminError::Target)?;
    draft.go_with_signals().map_err(AdminError::System)?;
    let lines = copy_lines(Source::open(data_dir)?, draft.writer())?;
    draft.publish().map_err(AdminError::Target)?;
    print(|output| writeln!(output, "{lines} lines written to {}", target.display()))
}

/// Copies the lines as they are, up to the last one, and counts them.
fn copy_lines(mut source: Source, output: impl Write) -> Result<u64, AdminError> {
    let mut output = BufWriter::new(output);
    let mut progress = Progress::new("lines written:");
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = source.lines().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
        if read.is_err() || !line.ends_with(b"\n") {
            return Err(source.broken_off());
        }
        progress.step();
        output.write_all(&line).map_err(AdminError::Output)?;
        if is_end(&line) {
            output.flush().map_err(AdminError::Output)?;
            return Ok(progress.count());
        }
    }
}

/// Adds what an export has and the stopped server hasn't.
pub(super) fn import(data_dir: &Path, path: &Path) -> Result<(), AdminError> {
    let from = if is_standard(path) { "stdin".to_owned() } else { path.display().to_string() };
    let failed = |error| AdminError::Import { from: from.clone(), error };
    let (input, is_exposed) = open(path).map_err(|error| failed(error.into()))?;
    let running = || AdminError::Running { path: data_dir.to_owned() };
    let claimed = claim(data_dir, Missing::Create)?.ok_or_else(running)?;
    let members = Store::open(Arc::clone(&claimed))?;
    let mut publications = PublicationStore::open(claimed)?;
    let mut progress = Progress::new("lines read:");
    let taken = take_in(input, &members, &mut publications, &mut || progress.step());
    drop(progress);
    let Taken { added, there } = taken.map_err(|error| match error {
        TakeError::Store(error) => error.into(),
        error => failed(error),
    })?;
    print(|output| {
        writeln!(
            output,
            "{} members, {} devices, {} publications added; {there} lines were there already",
            added.members, added.devices, added.publications
        )
    })?;
    if is_exposed {
        eprintln!(
            "bittrickle-server: other users can read {from}, which holds the hashes of passwords; delete it"
        );
    }
    Ok(())
}

/// What to read, and whether others can read it too.
fn open(path: &Path) -> io::Result<(Box<dyn BufRead>, bool)> {
    if is_standard(path) {
        return Ok((Box::new(io::stdin().lock()), false));
    }
    let file = File::open(path)?;
    let is_exposed = file.metadata()?.mode() & 0o077 != 0;
    Ok((Box::new(BufReader::new(file)), is_exposed))
}

/// Whether it stands for stdin or stdout.
fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}
