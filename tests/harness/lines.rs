//! What a process writes, line by line.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

/// One stream of a process. It goes to a file: whoever looks sees all that was written before, in whichever stream.
#[derive(Debug)]
pub(crate) struct Lines(File);

impl Lines {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempfile().expect("a temporary file"))
    }

    /// What the process writes to.
    pub(crate) fn stdio(&self) -> Stdio {
        self.0.try_clone().expect("a descriptor is free").into()
    }

    pub(crate) fn count(&self) -> usize {
        self.from(0).len()
    }

    /// The lines behind so many; one that has no end yet isn't among them.
    pub(crate) fn from(&self, start: usize) -> Vec<String> {
        let text = self.text();
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        whole.split_terminator('\n').skip(start).map(str::to_owned).collect()
    }

    pub(crate) fn find(&self, text: &str) -> Option<String> {
        self.from(0).into_iter().find(|line| line.contains(text))
    }

    /// Everything, once the process has ended.
    pub(crate) fn all(&self) -> Vec<String> {
        self.text().split_terminator('\n').map(str::to_owned).collect()
    }

    /// The process writes where the file ends: nobody reads from there.
    fn text(&self) -> String {
        let bytes = self.0.metadata().expect("the file is ours").len();
        let mut text = vec![0; usize::try_from(bytes).expect("it fits in memory")];
        self.0.read_exact_at(&mut text, 0).expect("nobody makes it shorter");
        String::from_utf8_lossy(&text).into_owned()
    }
}
