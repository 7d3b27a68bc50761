//! The shell: reads commands, asks the index and other peers, and shows what comes back.

mod command;
mod input;
mod output;
mod status;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::legacy::sentence;
use bittrickle_wire::messages::RefusalCode;
use bittrickle_wire::{FileName, escaped};
use tokio::sync::mpsc;
use tokio::time::interval;

pub use command::{COMMANDS, Command, CommandError};
pub use input::{Input, InputEnd, TerminalMode};
pub use output::Output;
pub use status::{Connection, Seal};

use crate::net::{
    DownloadError, Downloaded, Index, IndexError, LegacyCallError, Progress, SourceAt, download,
};
use crate::session::Event;
use crate::share::{Folder, FolderError, Shares};
use crate::transfer::Deadlines;

/// Everything a command may need.
pub struct Shell {
    /// The session.
    pub index: Index,
    /// Where files are published from and downloaded to.
    pub folder: Arc<Folder>,
    /// What is on offer.
    pub shares: Arc<Shares>,
    /// What the session has to say.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// Where lines go.
    pub output: Output,
    /// Whom the session is with.
    pub connection: Connection,
}

/// How the shell ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShellEnd {
    /// The user left, or the input is at its end.
    Left,
    /// The user pressed ctrl-C.
    Interrupted,
    /// The index ended the session.
    SessionEnded,
}

/// How often progress is drawn.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

impl Shell {
    /// Runs commands until the user leaves.
    pub async fn run(&mut self, input: &mut Input) -> ShellEnd {
        loop {
            input.ask_for_command();
            let line = loop {
                tokio::select! {
                    line = input.next_command() => break line,
                    Some(event) = self.events.recv() => {
                        if let Some(end) = self.tell(input, event) {
                            return end;
                        }
                    }
                }
            };
            let command = match line {
                Ok(line) => Command::parse(&line),
                Err(InputEnd::End) => return ShellEnd::Left,
                Err(InputEnd::Interrupted) => return ShellEnd::Interrupted,
                Err(error @ InputEnd::BadLine(_)) => {
                    self.output.complain(&error.to_string());
                    continue;
                }
            };
            let done = match command {
                Ok(None) => Ok(()),
                Ok(Some(Command::Quit)) => return ShellEnd::Left,
                Ok(Some(command)) => self.execute(command).await,
                Err(error) => {
                    self.output.complain(&error.to_string());
                    Ok(())
                }
            };
            // Nobody reads what we say any more: there is nobody to go on for.
            if done.is_err() {
                return ShellEnd::Left;
            }
        }
    }

    /// Says what happened to the session.
    fn tell(&self, input: &mut Input, event: Event) -> Option<ShellEnd> {
        match event {
            Event::LoggedIn | Event::LoginFailed(_) => None,
            Event::Silent => {
                input.notify("The server has gone silent; waiting for it to come back.");
                None
            }
            Event::Back => {
                input.notify("The server is back; your files are on offer again.");
                None
            }
            Event::NotOffered(count, error) => {
                input.notify(&format!(
                    "{count} of your files could not be published again: {error}; try `pub` later."
                ));
                None
            }
            Event::Ended(refused) => {
                input.notify(&format!("The server ended the session: {}", refused.sentence.as_str()));
                if refused.code == RefusalCode::NOT_ENROLLED {
                    input.notify(
                        "This device is not enrolled any more: ask the admin, then `bittrickle join` again.",
                    );
                }
                Some(ShellEnd::SessionEnded)
            }
        }
    }

    async fn execute(&self, command: Command) -> io::Result<()> {
        match command {
            Command::Get(label) => self.get(&label).await,
            Command::Publish(label) => self.publish(&label).await,
            Command::Unpublish(label) => self.unpublish(&label).await,
            Command::Peers => match self.index.peers().await {
                Ok(listing) => self.output.names(&listing),
                Err(error) => self.fail("lap", &error),
            },
            Command::Files => match self.index.files(usize::MAX).await {
                Ok(listing) => self.output.files(&listing),
                Err(error) => self.fail("lpf", &error),
            },
            Command::Search(text) => match self.index.search(&text).await {
                Ok(listing) => self.output.files(&listing),
                Err(error) => self.fail("sch", &error),
            },
            Command::Status => {
                let lines = self.connection.lines(self.shares.count());
                lines.iter().try_for_each(|line| self.output.say(line))
            }
            Command::Help => self.output.help(),
            Command::Quit => Ok(()),
        }
    }

    /// What a legacy server says is said as it is, where the original's client says it.
    fn fail(&self, what: &str, error: &IndexError) -> io::Result<()> {
        if let IndexError::Legacy(LegacyCallError::Failed(message)) = error {
            return self.output.say(&escaped(message).to_string());
        }
        self.output.complain(&format!("{what}: {error}"));
        Ok(())
    }

    async fn publish(&self, label: &str) -> io::Result<()> {
        let name = match FileName::new(label) {
            Ok(name) => name,
            Err(error) => {
                self.output.complain(&format!("can't publish {label}: the name is not acceptable: {error}"));
                return Ok(());
            }
        };
        let shared = match self.folder.open_shared(&name) {
            Ok(shared) => shared,
            Err(error) => {
                self.output.complain(&format!("can't publish {label}: {error}"));
                return Ok(());
            }
        };
        // On offer here before it is listed there: who finds it can fetch it.
        self.shares.add(&name);
        match self.index.publish(&name, shared.file_bytes).await {
            Ok(()) => self.output.say(sentence::PUBLISHED),
            Err(error) => {
                // The session takes back what it has no answer for; so nothing of this name is on offer now.
                self.shares.remove(&name);
                self.fail(sentence::NOT_PUBLISHED, &error)
            }
        }
    }

    async fn unpublish(&self, label: &str) -> io::Result<()> {
        let Ok(name) = FileName::new(label) else {
            return self.output.say(sentence::NOTHING_TO_UNPUBLISH);
        };
        if let Index::Framed(_) = &self.index
            && let Some(reason) = self.reason_not_to_unpublish(&name).await
        {
            return self.output.say(reason);
        }
        // Not served any more from now on, whatever the index says, and whether it says anything.
        self.shares.remove(&name);
        match self.index.unpublish(&name).await {
            Ok(()) => self.output.say(sentence::UNPUBLISHED),
            Err(error) => self.fail("unp", &error),
        }
    }

    /// A framed index takes back what is there and doesn't say what wasn't (BT-2.6-5), so we look first.
    async fn reason_not_to_unpublish(&self, name: &FileName) -> Option<&'static str> {
        if self.shares.find(name.as_str()).is_some() {
            return None;
        }
        let own = self.index.files(usize::MAX).await.ok()?;
        if own.entries.iter().any(|file| file.name == name.as_str()) {
            return None;
        }
        match self.index.locate(name.as_str()).await {
            Ok(found) if found.published => Some(sentence::NOT_THE_PUBLISHER),
            Ok(_) => Some(sentence::NOTHING_TO_UNPUBLISH),
            Err(_) => None,
        }
    }

    async fn get(&self, label: &str) -> io::Result<()> {
        if self.folder.has(&FileName::sanitized(label)) {
            self.output.complain(&format!("get {label}: {}", FolderError::Exists));
            return Ok(());
        }
        let found = match self.index.locate(label).await {
            Ok(found) => found,
            Err(error) => return self.fail(&format!("get {label}"), &error),
        };
        if !found.published {
            return self.output.say(sentence::FILE_NOT_FOUND);
        }
        if found.sources.is_empty() {
            return self.output.say(sentence::OWNER_NOT_ACTIVE);
        }
        for source in &found.sources {
            match self.fetch(label, source).await {
                Ok(downloaded) => return self.tell_downloaded(label, source, &downloaded),
                Err(error) => {
                    self.output.complain(&format!("get {label}: {}: {error}", describe(source)));
                    if !error.is_sources_fault() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn fetch(&self, label: &str, source: &SourceAt) -> Result<Downloaded, DownloadError> {
        let progress = Progress::default();
        let started = Instant::now();
        let deadlines = Deadlines::default();
        let device = self.connection.seal.as_ref().map(|seal| &seal.device);
        let downloading = download(source, label, device, &self.folder, &deadlines, &progress);
        tokio::pin!(downloading);
        let mut ticks = interval(PROGRESS_EVERY);
        ticks.tick().await;
        let result = loop {
            tokio::select! {
                result = &mut downloading => break result,
                _ = ticks.tick() => self.output.draw_progress(label, &progress, started.elapsed()),
            }
        };
        self.output.clear_progress();
        result
    }

    fn tell_downloaded(&self, label: &str, source: &SourceAt, downloaded: &Downloaded) -> io::Result<()> {
        let name = FileName::sanitized(label);
        if name.as_str() != label {
            self.output.complain(&format!("saved as {}", name.as_str()));
        }
        if source.access.is_none() {
            self.output.complain("unverified: the original's format has no length and no checksum");
        }
        if source.access.is_none() && downloaded.file_bytes == 0 {
            self.output.complain("the file is empty, or it was missing: the original's format can't tell");
        }
        self.output.complain(&format!("{} from {}", self.output.summary(downloaded), describe(source)));
        self.output.say("File downloaded successfully.")
    }
}

fn describe(source: &SourceAt) -> String {
    match &source.member {
        Some(member) => format!("{member} at {}", source.address),
        None => source.address.to_string(),
    }
}
