//! What goes on beside the commands: what the session has to say, and what is published as it is hashed or changes.

use bittrickle_wire::messages::RefusalCode;
use tokio::sync::mpsc;

use super::publishing::{Hashed, Publishing};
use super::{Input, ShellEnd, left_out_lines};
use crate::net::Index;
use crate::session::Event;
use crate::share::{Changed, Shares};

/// Where it comes from.
pub(super) struct Background {
    pub(super) publishing: Publishing,
    /// What the session has to say.
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    /// What has changed on disk.
    pub(super) changes: mpsc::UnboundedReceiver<Changed>,
}

/// Something that has happened, to be handled.
#[derive(Debug)]
pub(super) enum Noticed {
    /// To the session.
    Event(Event),
    /// Something has been hashed, or could not be.
    Hashed(Hashed),
    /// A file isn't what it was when it was hashed.
    Changed(Changed),
}

impl Background {
    /// Waits for what happens next. Nothing is lost when nobody waits any longer.
    pub(super) async fn next(&mut self) -> Noticed {
        tokio::select! {
            Some(event) = self.events.recv() => Noticed::Event(event),
            hashed = self.publishing.next() => Noticed::Hashed(hashed),
            Some(changed) = self.changes.recv() => Noticed::Changed(changed),
        }
    }

    /// Does what follows from it, and tells the user.
    ///
    /// # Errors
    /// The session is over.
    pub(super) async fn handle(
        &mut self,
        noticed: Noticed,
        index: &Index,
        shares: &Shares,
        input: &mut Input,
    ) -> Result<(), ShellEnd> {
        match noticed {
            Noticed::Event(event) => return tell(&event, input),
            Noticed::Hashed(hashed) => {
                let told = publish_hashed(hashed, index, shares).await;
                told.iter().for_each(|line| input.notify(line));
            }
            Noticed::Changed(changed) => {
                if let Some(told) = self.publish_anew(&changed, shares) {
                    input.notify(&told);
                }
            }
        }
        Ok(())
    }

    /// A file isn't what it was when it was hashed: nothing of it is sent until it has been hashed again.
    fn publish_anew(&mut self, Changed { name, path }: &Changed, shares: &Shares) -> Option<String> {
        let (_, holding) = shares.named(name.as_str())?;
        if self.publishing.is_hashing(name) {
            return None;
        }
        self.publishing.hash(name, holding.manifest.is_some());
        let path = path.as_ref().map_or_else(String::new, |path| format!("/{path}"));
        Some(format!("{}{path} has changed on disk; it is hashed and published anew", name.as_str()))
    }
}

/// Says what happened to the session.
fn tell(event: &Event, input: &mut Input) -> Result<(), ShellEnd> {
    match event {
        Event::LoggedIn | Event::LoginFailed(_) => {}
        Event::Silent => input.notify("The server has gone silent; waiting for it to come back."),
        Event::Back => input.notify("The server is back; your files are on offer again."),
        Event::NotOffered(count, error) => input.notify(&format!(
            "{count} of your files could not be published again: {error}; try `pub` later."
        )),
        Event::Ended(refused) => {
            input.notify(&format!("The server ended the session: {}", refused.sentence.as_str()));
            if refused.code == RefusalCode::NOT_ENROLLED {
                input.notify(
                    "This device is not enrolled any more: ask the admin, then `bittrickle join` again.",
                );
            }
            return Err(ShellEnd::SessionEnded);
        }
    }
    Ok(())
}

/// Something that was published before it was hashed has been hashed: the index learns its root. What the user is told.
async fn publish_hashed(hashed: Hashed, index: &Index, shares: &Shares) -> Vec<String> {
    let name = hashed.name;
    let text = name.as_str().to_owned();
    let (holding, left_out) = match hashed.result {
        Ok(hashed) => hashed,
        Err(error) => {
            shares.remove(&name);
            // If the index can't be told, nobody is let have it all the same.
            let _ = index.unpublish(&name).await;
            return vec![format!("{text} is not shared any more: {error}")];
        }
    };
    let (offer, content) = (holding.offer(&name), holding.content());
    shares.add(&name, holding);
    // What is shared stays shared: a server that doesn't answer now is told when it does.
    let told_later = index.publish_many(vec![offer]).await.err();
    let root = content.root.map_or_else(String::new, |root| root.to_string());
    let mut told = left_out_lines(&left_out);
    told.push(format!("{text} is hashed: {root}"));
    told.extend(
        told_later.map(|error| format!("{text}: {error}; its hash is published when the server answers")),
    );
    told
}
