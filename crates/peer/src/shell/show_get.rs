//! What a download shows: progress and complaints on stderr, the outcome on stdout.

use std::io;
use std::time::Instant;

use bittrickle_wire::legacy::sentence;
use bittrickle_wire::messages::{Hit, RefusalCode};
use bittrickle_wire::{FileBytes, escaped};

use super::output::{Output, rate, root_digits, size};
use crate::net::{
    FetchError, FolderFault, GetError, Got, Happening, IndexError, LegacyCallError, Phase, Who,
};
use crate::session::CallError;
use crate::share::FolderError;

/// Shows one download.
pub struct ShowGet<'a> {
    output: Output,
    what: &'a str,
    started: Instant,
    is_waiting_told: bool,
}

impl<'a> ShowGet<'a> {
    /// For what the user asked for.
    #[must_use]
    pub fn new(output: Output, what: &'a str) -> Self {
        Self { output, what, started: Instant::now(), is_waiting_told: false }
    }

    /// Shows what happens.
    pub fn show(&mut self, happening: &Happening<'_>) {
        let elapsed = self.started.elapsed();
        match happening {
            Happening::Progress(name, progress) => {
                let (done, all) = (progress.verified_bytes(), progress.file_bytes());
                let new = done - progress.resumed_bytes().min(done);
                let what = match progress.phase() {
                    Phase::Connecting => "connecting".to_owned(),
                    Phase::Checking => "checking what is here".to_owned(),
                    Phase::Finishing => "writing to disk".to_owned(),
                    Phase::Fetching => {
                        let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100);
                        let (of, from) = (size(all), sources(progress.sources()));
                        format!("{} of {of} ({percent} %), {}, {from}", size(done), rate(new, elapsed))
                    }
                };
                self.output.draw_progress(name.as_str(), &what);
            }
            Happening::Unverified(name, bytes) => {
                let what = format!("{}, {}", size(*bytes), rate(*bytes, elapsed));
                self.output.draw_progress(name.as_str(), &what);
            }
            Happening::Resumed(bytes) => self.complain(&format!("{} were here already", size(*bytes))),
            Happening::Busy(who) => {
                self.complain(&format!(
                    "{}: all its upload slots are taken; waiting for a turn",
                    describe(who)
                ));
            }
            Happening::Lost(who, error) => {
                let lie = if error.is_lie() { "; it is not asked again" } else { "" };
                self.complain(&format!("{}: {error}{lie}", describe(who)));
            }
            Happening::LegacyLost(who, error) => self.complain(&format!("{}: {error}", describe(who))),
            Happening::Changed => self.complain("it has changed meanwhile; fetching it as it is now"),
            Happening::Hashing(_) if !self.is_waiting_told => {
                self.is_waiting_told = true;
                self.complain("it is still being hashed by who shares it; waiting for that");
            }
            Happening::Hashing(_) => {}
        }
    }

    /// Says what is there now.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn got(&self, got: &Got) -> io::Result<()> {
        let Got { name, file_bytes, resumed_bytes, duration, root } = got;
        if root.is_none() && name.as_str() != self.what {
            self.output.complain(&format!("saved as {}", name.as_str()));
        }
        if root.is_none() {
            self.output.complain("unverified: the original's format has no length and no checksum");
            if *file_bytes == 0 {
                self.output
                    .complain("the file is empty, or it was missing: the original's format can't tell");
            }
        }
        let (bytes, seconds) = (size(*file_bytes), duration.as_secs_f64());
        let rate = rate(file_bytes - (*resumed_bytes).min(*file_bytes), *duration);
        let verified = root.map_or_else(String::new, |root| format!(", verified: {root}"));
        self.output.complain(&format!("{}: {bytes} in {seconds:.2} s, {rate}{verified}", name.as_str()));
        self.output.say("File downloaded successfully.")
    }

    /// Says why there is nothing. What a legacy server says is said as it is, where the original's client says it.
    ///
    /// # Errors
    /// Nobody reads stdout any more.
    pub fn failed(&self, error: &GetError) -> io::Result<()> {
        match error {
            // Said as the original says it, and in words that tell the two apart.
            GetError::NotFound => {
                self.complain("nobody shares anything of this name");
                self.output.say(sentence::FILE_NOT_FOUND)
            }
            GetError::NobodyOnline => {
                self.complain("it is shared, but nobody who has it is online now");
                self.output.say(sentence::OWNER_NOT_ACTIVE)
            }
            GetError::Index(IndexError::Legacy(LegacyCallError::Failed(message))) => {
                self.output.say(&escaped(message).to_string())
            }
            GetError::Several(hits) => {
                self.complain("several contents are shared under this name; say which:");
                hits.iter().for_each(|(hit, members)| self.output.complain(&choice(hit, members)));
                self.output.complain("get NAME@MEMBER, or get the first digits of the hash");
                Ok(())
            }
            GetError::Fetch(fetch) => {
                let advice = match fetch.folder_fault() {
                    Some(FolderFault::Full) => "; make room, and the same `get` goes on with what is here",
                    Some(FolderFault::Denied) => {
                        "; let yourself write to this folder, or fetch to another one"
                    }
                    Some(FolderFault::Failing) => "; the disk fails: fetch to another one",
                    None => "",
                };
                self.complain(&format!("{error}{advice}"));
                Ok(())
            }
            GetError::NoName | GetError::Index(_) | GetError::Thread(_) | GetError::LegacyFailed => {
                self.complain(&error.to_string());
                Ok(())
            }
        }
    }

    fn complain(&self, line: &str) {
        self.output.clear_progress();
        self.output.complain(&format!("get {}: {line}", self.what));
    }
}

/// The exit code that says how a download failed.
#[must_use]
pub fn exit_code(error: &GetError) -> u8 {
    match error {
        GetError::Several(_) | GetError::NoName => 2,
        GetError::NotFound | GetError::NobodyOnline => 3,
        GetError::Index(IndexError::Legacy(LegacyCallError::Failed(_))) => 3,
        GetError::Index(IndexError::Text(_)) => 2,
        GetError::Index(IndexError::Framed(CallError::Refused(refused))) => match refused.code {
            RefusalCode::NOT_ENROLLED => 4,
            RefusalCode::LIMIT_REACHED | RefusalCode::BUSY | RefusalCode::TOO_FAST => 5,
            _ => 1,
        },
        GetError::Index(_) => 6,
        GetError::Fetch(FetchError::Folder(FolderError::Exists)) => 13,
        GetError::Fetch(FetchError::Folder(FolderError::UnderWay)) => 5,
        GetError::Fetch(error) if error.folder_fault().is_some() => 9,
        GetError::Fetch(FetchError::Folder(FolderError::Replaced)) => 10,
        GetError::Fetch(FetchError::NoSourceLeft(_) | FetchError::Changed | FetchError::Cancelled)
        | GetError::LegacyFailed => 7,
        GetError::Fetch(FetchError::OnlyLiars | FetchError::Manifest(_)) => 10,
        GetError::Fetch(FetchError::Folder(_)) | GetError::Thread(_) => 1,
    }
}

fn describe(who: &Who) -> String {
    match &who.member {
        Some(member) => format!("{member} at {}", who.address),
        None => who.address.to_string(),
    }
}

fn sources(count: usize) -> String {
    if count == 1 { "1 source".to_owned() } else { format!("{count} sources") }
}

/// One of several contents of a name, and who has it.
fn choice(hit: &Hit, members: &[String]) -> String {
    const MEMBERS_MAX: usize = 5;
    let mut whose = members.iter().take(MEMBERS_MAX).cloned().collect::<Vec<_>>().join(", ");
    if members.len() > MEMBERS_MAX {
        whose.push_str(", ...");
    }
    let whose = if whose.is_empty() { "nobody online now".to_owned() } else { whose };
    let bytes = hit.content.file_bytes.map_or_else(|| "?".to_owned(), |bytes| size(FileBytes::bytes(bytes)));
    let from = sources(usize::try_from(hit.sources).unwrap_or(usize::MAX));
    format!("  {}  {bytes:>10}  {from} ({whose})  {}", root_digits(&hit.content), hit.name.as_str())
}
