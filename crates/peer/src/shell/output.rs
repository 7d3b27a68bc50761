//! What the shell shows: names and sentences on stdout, progress and errors on stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use bittrickle_wire::{Content, FileBytes, escaped};

use super::command::COMMANDS;
use crate::net::{ListedFile, Listing};

/// Columns of a line that came from afar.
const COLUMNS_MAX: usize = 120;

/// The two streams, and whether somebody looks at them.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    terminal: bool,
    progress: bool,
}

impl Output {
    /// The program's own streams.
    #[must_use]
    pub fn open() -> Self {
        Self { terminal: io::stdout().is_terminal(), progress: io::stderr().is_terminal() }
    }

    /// One line on stdout.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn say(&self, line: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()
    }

    /// One line on stderr, in which texts from afar do no harm.
    pub fn complain(&self, line: &str) {
        // If nobody reads stderr either, there is nobody to tell.
        let _ = writeln!(io::stderr(), "{}", escaped(line));
    }

    /// Names, one a line.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn names(&self, listing: &Listing<String>) -> io::Result<()> {
        if listing.entries.is_empty() {
            return self.say(listing.empty);
        }
        listing.entries.iter().try_for_each(|name| self.say(&self.name(name)))
    }

    /// What was searched for; and whether that is all, as nobody looks at ten million names.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn found(&self, listing: &Listing<ListedFile>) -> io::Result<()> {
        if listing.is_complete {
            return self.files(listing);
        }
        if listing.entries.is_empty() {
            self.complain(
                "sch: nothing yet among the first names; say some letters of the name, or ext: or by:",
            );
            return Ok(());
        }
        self.files(listing)?;
        self.complain("sch: there are more; say more of the name, or ext: or by:");
        Ok(())
    }

    /// Files, one a line: the name alone, or on a terminal what is known beside it.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn files(&self, listing: &Listing<ListedFile>) -> io::Result<()> {
        if listing.entries.is_empty() {
            return self.say(listing.empty);
        }
        if !self.terminal {
            let mut names: Vec<&str> = listing.entries.iter().map(|file| file.name.as_str()).collect();
            // One name with several sizes is several entries; who asks for names wants it once.
            names.dedup();
            return names.into_iter().try_for_each(|name| self.say(&self.name(name)));
        }
        for file in &listing.entries {
            let bytes = file.content.file_bytes.map(FileBytes::bytes);
            let size = bytes.map_or_else(|| "?".to_owned(), size);
            let folder = if file.content.is_folder { "/" } else { "" };
            let sources = match file.sources {
                Some(0) => "nobody online",
                Some(1) => "1 source",
                Some(_) => "sources",
                None => "",
            };
            let count =
                file.sources.filter(|count| *count > 1).map_or_else(String::new, |count| format!("{count} "));
            let root = root_digits(&file.content);
            self.say(&format!("{size:>10}  {root}  {count}{sources:<14} {}{folder}", self.name(&file.name)))?;
        }
        Ok(())
    }

    /// The commands.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn help(&self) -> io::Result<()> {
        COMMANDS.iter().try_for_each(|(word, alias, argument, what)| {
            let usage = format!("{word} {argument}");
            let also = if alias.is_empty() { String::new() } else { format!(" (also: {alias})") };
            self.say(&format!("  {usage:<10} {what}{also}"))
        })
    }

    /// Draws how far a download has come over the line that is there.
    pub fn draw_progress(&self, label: &str, what: &str) {
        if self.progress {
            eprint!("\r\x1b[K{}: {what}", escaped(label).cut(40));
        }
    }

    /// Takes the progress line away.
    pub fn clear_progress(&self) {
        if self.progress {
            eprint!("\r\x1b[K");
        }
    }

    /// A name as it may be shown: whole where a program reads it, cut where a person does.
    fn name(&self, name: &str) -> String {
        if self.terminal { escaped(name).cut(COLUMNS_MAX).to_string() } else { escaped(name).to_string() }
    }
}

/// The first digits of a content's root, enough to ask for it by; as many characters where there is none.
pub(super) fn root_digits(content: &Content) -> String {
    const DIGITS: usize = 12;
    match content.root {
        Some(root) => root.to_string()[..DIGITS].to_owned(),
        None if content.file_bytes.is_some() => format!("{:<DIGITS$}", "hashing"),
        None => format!("{:<DIGITS$}", "unverified"),
    }
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

pub(super) fn rate(bytes: u64, duration: Duration) -> String {
    let per_second = bytes as f64 / duration.as_secs_f64().max(0.001);
    format!("{}/s", size(per_second as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well_at_the_edges_of_their_units() {
        let cases =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB"), (3 << 30, "3.0 GiB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16384.0 PiB");
    }
}
