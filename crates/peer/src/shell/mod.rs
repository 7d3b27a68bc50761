//! The shell: reads commands, asks the index and other peers, and shows what comes back.

mod command;
mod input;
mod output;
mod publishing;
mod show_get;
mod status;

use std::io;
use std::sync::Arc;

use bittrickle_wire::legacy::sentence;
use bittrickle_wire::messages::{Filter, RefusalCode};
use bittrickle_wire::{FileName, escaped};
use tokio::sync::mpsc;

use publishing::{Hashed, Publishing};

pub use command::{COMMANDS, Command, CommandError, SearchQuery, parse_bytes};
pub use input::{Input, InputEnd, TerminalMode};
pub use output::Output;
pub use show_get::{ShowGet, exit_code};
pub use status::{Connection, Seal};

use crate::content::LeftOut;
use crate::net::{Getter, Index, IndexError, LegacyCallError};
use crate::session::Event;
use crate::share::{Folder, Holding, Prepared, Publisher, Shares};
use crate::transfer::Deadlines;

/// What a shell is made of.
pub struct ShellParts {
    /// The session.
    pub index: Index,
    /// Where files are published from and downloaded to.
    pub folder: Arc<Folder>,
    /// What is on offer.
    pub shares: Arc<Shares>,
    /// Hashes what is shared.
    pub publisher: Publisher,
    /// What the session has to say.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// Names whose files have changed on disk.
    pub changes: mpsc::UnboundedReceiver<FileName>,
    /// Where lines go.
    pub output: Output,
    /// Whom the session is with.
    pub connection: Connection,
}

/// Everything a command may need.
pub struct Shell {
    /// The session.
    pub index: Index,
    folder: Arc<Folder>,
    shares: Arc<Shares>,
    publishing: Publishing,
    events: mpsc::UnboundedReceiver<Event>,
    changes: mpsc::UnboundedReceiver<FileName>,
    output: Output,
    connection: Connection,
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

impl Shell {
    /// A shell for a session that has begun.
    #[must_use]
    pub fn new(parts: ShellParts) -> Self {
        let ShellParts { index, folder, shares, publisher, events, changes, output, connection } = parts;
        let publishing = Publishing::new(publisher);
        Self { index, folder, shares, events, changes, publishing, output, connection }
    }

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
                    hashed = self.publishing.next() => {
                        let told = self.publish_hashed(hashed).await;
                        input.notify(&told);
                    }
                    Some(name) = self.changes.recv() => {
                        if let Some(told) = self.publish_anew(&name) {
                            input.notify(&told);
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

    async fn execute(&mut self, command: Command) -> io::Result<()> {
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
            Command::Search(query) => match self.index.search(&query.text, &query.filter).await {
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

    async fn publish(&mut self, label: &str) -> io::Result<()> {
        let name = match FileName::new(label) {
            Ok(name) => name,
            Err(error) => {
                self.output.complain(&format!("can't publish {label}: the name is not acceptable: {error}"));
                return Ok(());
            }
        };
        match self.publishing.prepare(&name).await {
            Ok(Prepared::Hashed(holding)) => {
                self.publishing.stop(&name);
                self.offer(&name, holding).await
            }
            Ok(Prepared::Hashing(holding)) => {
                // It can be fetched while it is hashed; its root follows.
                self.publishing.hash(&name, false);
                self.offer(&name, holding).await
            }
            Ok(Prepared::Folder) => self.publish_folder(&name).await,
            Err(error) => {
                self.output.complain(&format!("can't publish {label}: {error}"));
                Ok(())
            }
        }
    }

    /// What is in a folder is known once all of it is hashed.
    async fn publish_folder(&mut self, name: &FileName) -> io::Result<()> {
        self.publishing.hash(name, true);
        let hashed = loop {
            let hashed = self.publishing.next().await;
            if hashed.name == *name {
                break hashed;
            }
            self.publish_hashed(hashed).await;
        };
        match hashed.result {
            Ok((holding, left_out)) => {
                self.tell_left_out(&left_out);
                self.offer(name, holding).await
            }
            Err(error) => {
                self.output.complain(&format!("can't publish {}: {error}", name.as_str()));
                Ok(())
            }
        }
    }

    fn tell_left_out(&self, left_out: &[(String, LeftOut)]) {
        const TOLD_MAX: usize = 20;
        for (path, reason) in left_out.iter().take(TOLD_MAX) {
            self.output.complain(&format!("left out: {path}: {reason}"));
        }
        if let Some(more) = left_out.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
            self.output.complain(&format!("left out as well: {more} more"));
        }
    }

    /// On offer here before it is listed there: who finds it can fetch it.
    async fn offer(&mut self, name: &FileName, holding: Arc<Holding>) -> io::Result<()> {
        let offer = holding.offer(name);
        self.shares.add(name, holding);
        match self.index.publish(offer).await {
            Ok(()) => self.output.say(sentence::PUBLISHED),
            Err(error) => {
                // The session takes back what it has no answer for; so nothing of this name is on offer now.
                self.publishing.stop(name);
                self.shares.remove(name);
                self.fail(sentence::NOT_PUBLISHED, &error)
            }
        }
    }

    /// Something that was published before it was hashed has been hashed: the index learns its root.
    async fn publish_hashed(&mut self, hashed: Hashed) -> String {
        let name = hashed.name;
        let text = name.as_str().to_owned();
        let (holding, error) = match hashed.result {
            Ok((holding, _)) => (Some(holding), None),
            Err(error) => (None, Some(error.to_string())),
        };
        if let Some(holding) = holding {
            let (offer, content) = (holding.offer(&name), holding.content());
            self.shares.add(&name, holding);
            match self.index.publish(offer).await {
                Ok(()) => {
                    let root = content.root.map_or_else(String::new, |root| root.to_string());
                    return format!("{text} is hashed: {root}");
                }
                Err(error) => {
                    self.shares.remove(&name);
                    return format!("{text} could not be published with its hash: {error}; `pub` it again");
                }
            }
        }
        self.shares.remove(&name);
        // If the index can't be told, nobody is let have it all the same.
        let _ = self.index.unpublish(&name).await;
        format!("{text} is not shared any more: {}", error.unwrap_or_default())
    }

    /// A file isn't what it was when it was hashed: nothing of it is sent until it has been hashed again.
    fn publish_anew(&mut self, name: &FileName) -> Option<String> {
        let (_, holding) = self.shares.named(name.as_str())?;
        if self.publishing.is_hashing(name) {
            return None;
        }
        self.publishing.hash(name, holding.manifest.is_some());
        Some(format!("{} has changed on disk; it is hashed and published anew", name.as_str()))
    }

    async fn unpublish(&mut self, label: &str) -> io::Result<()> {
        let Ok(name) = FileName::new(label) else {
            return self.output.say(sentence::NOTHING_TO_UNPUBLISH);
        };
        if let Index::Framed(_) = &self.index
            && let Some(reason) = self.reason_not_to_unpublish(&name).await
        {
            return self.output.say(reason);
        }
        // Not served any more from now on, whatever the index says, and whether it says anything.
        self.publishing.stop(&name);
        self.shares.remove(&name);
        match self.index.unpublish(&name).await {
            Ok(()) => self.output.say(sentence::UNPUBLISHED),
            Err(error) => self.fail("unp", &error),
        }
    }

    /// A framed index takes back what is there and doesn't say what wasn't (BT-2.6-5), so we look first.
    async fn reason_not_to_unpublish(&self, name: &FileName) -> Option<&'static str> {
        if self.shares.has(name) {
            return None;
        }
        let own = self.index.files(usize::MAX).await.ok()?;
        if own.entries.iter().any(|file| file.name == name.as_str()) {
            return None;
        }
        let exact = Filter { is_exact: true, ..Filter::default() };
        match self.index.search(name.as_str(), &exact).await {
            Ok(found) if found.entries.is_empty() => Some(sentence::NOTHING_TO_UNPUBLISH),
            Ok(_) => Some(sentence::NOT_THE_PUBLISHER),
            Err(_) => None,
        }
    }

    async fn get(&self, what: &str) -> io::Result<()> {
        let device = self.connection.seal.as_ref().map(|seal| &seal.device);
        let deadlines = Deadlines::default();
        let getter =
            Getter { index: &self.index, folder: &self.folder, shares: &self.shares, device, deadlines };
        let mut show = ShowGet::new(self.output, what);
        let result = getter.get(what, |happening| show.show(&happening)).await;
        self.output.clear_progress();
        match result {
            Ok(got) => show.got(&got),
            Err(error) => show.failed(&error),
        }
    }
}
