//! The shell: reads commands, asks the index and other peers, and shows what comes back.

mod background;
mod command;
mod input;
mod output;
mod publish_all;
mod publishing;
mod show_get;
mod status;

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use bittrickle_wire::legacy::sentence;
use bittrickle_wire::messages::Filter;
use bittrickle_wire::{FileName, escaped};
use tokio::sync::mpsc;

use background::{Background, Noticed};
use publishing::Publishing;

pub use command::{COMMANDS, Command, CommandError, SearchQuery, parse_bytes};
pub use input::{Input, InputEnd, TerminalMode};
pub use output::Output;
pub use show_get::{ShowGet, exit_code};
pub use status::{Connection, Seal};

use crate::content::LeftOut;
use crate::net::{Getter, Index, IndexError, LegacyCallError, Listing};
use crate::session::Event;
use crate::share::{Changed, Folder, Holding, Prepared, Publisher, Shares};
use crate::transfer::{Attempts, Deadlines};

/// What a shell is made of.
pub struct ShellParts {
    /// The session.
    pub index: Index,
    /// Where files are published from and downloaded to.
    pub folder: Arc<Folder>,
    /// What is on offer.
    pub shares: Arc<Shares>,
    /// What downloads have tried.
    pub attempts: Arc<Mutex<Attempts>>,
    /// Hashes what is shared.
    pub publisher: Publisher,
    /// What the session has to say.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// What has changed on disk.
    pub changes: mpsc::UnboundedReceiver<Changed>,
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
    attempts: Arc<Mutex<Attempts>>,
    background: Background,
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

impl From<io::Error> for ShellEnd {
    /// Nobody reads what we say any more: there is nobody to go on for.
    fn from(_: io::Error) -> Self {
        Self::Left
    }
}

impl Shell {
    /// A shell for a session that has begun.
    #[must_use]
    pub fn new(parts: ShellParts) -> Self {
        let ShellParts { index, folder, shares, attempts, publisher, events, changes, output, connection } =
            parts;
        let background = Background { publishing: Publishing::new(publisher), events, changes };
        Self { index, folder, shares, attempts, background, output, connection }
    }

    /// Runs commands until the user leaves.
    pub async fn run(&mut self, input: &mut Input) -> ShellEnd {
        loop {
            let Err(end) = self.run_one(input).await else { continue };
            return end;
        }
    }

    /// Runs the next command.
    async fn run_one(&mut self, input: &mut Input) -> Result<(), ShellEnd> {
        input.ask_for_command();
        let line = loop {
            tokio::select! {
                line = input.next_command() => break line,
                noticed = self.background.next() => self.handle(noticed, input).await?,
            }
        };
        let command = match line {
            Ok(line) => Command::parse(&line),
            Err(InputEnd::End) => return Err(ShellEnd::Left),
            Err(InputEnd::Interrupted) => return Err(ShellEnd::Interrupted),
            Err(error @ InputEnd::BadLine(_)) => {
                self.output.complain(&error.to_string());
                return Ok(());
            }
        };
        match command {
            Ok(None) => Ok(()),
            Ok(Some(command)) => self.execute(command, input).await,
            Err(error) => {
                self.output.complain(&error.to_string());
                Ok(())
            }
        }
    }

    async fn handle(&mut self, noticed: Noticed, input: &mut Input) -> Result<(), ShellEnd> {
        self.background.handle(noticed, &self.index, &self.shares, input).await
    }

    async fn execute(&mut self, command: Command, input: &mut Input) -> Result<(), ShellEnd> {
        let told = match command {
            Command::Get(label) => return self.get(&label, input).await,
            Command::PublishAll => return self.publish_all(input).await,
            Command::Publish(label) => return self.publish(&label, input).await,
            Command::Quit => return Err(ShellEnd::Left),
            Command::Unpublish(label) => self.unpublish(&label).await,
            Command::Peers => match self.index.peers().await {
                Ok(listing) => self.output.names(&listing).inspect(|()| self.tell_rest("lap", &listing)),
                Err(error) => self.fail("lap", &error),
            },
            Command::Files => match self.index.files(usize::MAX).await {
                Ok(listing) => self.output.files(&listing).inspect(|()| self.tell_rest("lpf", &listing)),
                Err(error) => self.fail("lpf", &error),
            },
            Command::Search(query) => match self.index.search(&query.text, &query.filter).await {
                Ok(listing) => self.output.found(&listing),
                Err(error) => self.fail("sch", &error),
            },
            Command::Status => {
                let lines = self.connection.lines(self.shares.count());
                lines.iter().try_for_each(|line| self.output.say(line))
            }
            Command::Help => self.output.help(),
        };
        Ok(told?)
    }

    /// Says so when a list isn't all.
    fn tell_rest<T>(&self, what: &str, listing: &Listing<T>) {
        if !listing.is_complete {
            self.output.complain(&format!("{what}: there are more; the server's list has no end"));
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

    async fn publish(&mut self, label: &str, input: &mut Input) -> Result<(), ShellEnd> {
        let label = label.strip_suffix('/').unwrap_or(label);
        let name = match FileName::of_local(label) {
            Ok(name) => name,
            Err(error) => {
                self.output.complain(&format!("can't publish {label}: the name is not acceptable: {error}"));
                return Ok(());
            }
        };
        match self.background.publishing.prepare(&name).await {
            Ok(Prepared::Hashed(holding)) => {
                self.background.publishing.stop(&name);
                Ok(self.offer(&name, holding).await?)
            }
            Ok(Prepared::Hashing(holding)) => {
                // It can be fetched while it is hashed; its root follows.
                self.background.publishing.hash(&name, false);
                Ok(self.offer(&name, holding).await?)
            }
            Ok(Prepared::Folder) => self.publish_folder(&name, input).await,
            Err(error) => {
                self.output.complain(&format!("can't publish {label}: {error}"));
                Ok(())
            }
        }
    }

    /// What is in a folder is known once all of it is hashed.
    async fn publish_folder(&mut self, name: &FileName, input: &mut Input) -> Result<(), ShellEnd> {
        self.background.publishing.hash(name, true);
        let hashed = loop {
            match self.background.next().await {
                Noticed::Hashed(hashed) if hashed.name == *name => break hashed,
                noticed => self.handle(noticed, input).await?,
            }
        };
        match hashed.result {
            Ok((holding, left_out)) => {
                left_out_lines(&left_out).iter().for_each(|line| self.output.complain(line));
                Ok(self.offer(name, holding).await?)
            }
            Err(error) => {
                self.output.complain(&format!("can't publish {}: {error}", name.as_str()));
                Ok(())
            }
        }
    }

    /// On offer here before it is listed there: who finds it can fetch it.
    async fn offer(&mut self, name: &FileName, holding: Arc<Holding>) -> io::Result<()> {
        let offer = holding.offer(name);
        let before = self.shares.add(name, holding);
        match self.index.publish(offer).await {
            Ok(()) => self.output.say(sentence::PUBLISHED),
            Err(error) => {
                // The session takes back what it has no answer for. What was on offer before is so still.
                match before {
                    Some(before) => self.shares.restore(name, before),
                    None => {
                        self.background.publishing.stop(name);
                        self.shares.remove(name);
                    }
                }
                self.fail(sentence::NOT_PUBLISHED, &error)
            }
        }
    }

    async fn unpublish(&mut self, label: &str) -> io::Result<()> {
        let label = label.strip_suffix('/').unwrap_or(label);
        let Ok(name) = FileName::of_local(label) else {
            return self.output.say(sentence::NOTHING_TO_UNPUBLISH);
        };
        if let Index::Framed(_) = &self.index
            && let Some(reason) = self.reason_not_to_unpublish(&name).await
        {
            return self.output.say(reason);
        }
        // Not served any more from now on, whatever the index says, and whether it says anything.
        self.background.publishing.stop(&name);
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

    /// A download may take hours: what happens meanwhile is handled as ever.
    async fn get(&mut self, what: &str, input: &mut Input) -> Result<(), ShellEnd> {
        let Self { index, folder, shares, attempts, background, output, connection } = self;
        let device = connection.seal.as_ref().map(|seal| &seal.device);
        let getter = Getter { index, folder, shares, device, deadlines: Deadlines::default(), attempts };
        let mut show = ShowGet::new(*output, what);
        let result = {
            let mut getting = pin!(getter.get(what, |happening| show.show(&happening)));
            loop {
                tokio::select! {
                    result = &mut getting => break result,
                    noticed = background.next() => {
                        output.clear_progress();
                        // Threads of its own bring the content in, so that it goes on while the index is told something.
                        background.handle(noticed, index, shares, input).await?;
                    }
                }
            }
        };
        output.clear_progress();
        match result {
            Ok(got) => Ok(show.got(&got)?),
            Err(error) => Ok(show.failed(&error)?),
        }
    }
}

/// What of a folder isn't shared, and why.
fn left_out_lines(left_out: &[(String, LeftOut)]) -> Vec<String> {
    let told: Vec<String> = left_out.iter().map(|(path, reason)| format!("{path}: {reason}")).collect();
    told_lines(&told, "left out")
}

/// What is told of many, as far as anybody wants to read it.
fn told_lines(told: &[String], what: &str) -> Vec<String> {
    const TOLD_MAX: usize = 20;
    let mut lines: Vec<String> = told.iter().take(TOLD_MAX).map(|told| format!("{what}: {told}")).collect();
    if let Some(more) = told.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        lines.push(format!("{what} as well: {more} more"));
    }
    lines
}
