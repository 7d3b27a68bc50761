//! `pub *`: every file of the folder, of which the index is told all at once.

use super::publishing::PreparedFile;
use super::{Input, Shell, ShellEnd};

/// Most files that could not be published, and are told one by one.
const TOLD_MAX: usize = 20;

impl Shell {
    /// Publishes every file of the folder. Folders in it are published by name, as each is hashed first.
    pub(super) async fn publish_all(&mut self, input: &mut Input) -> Result<(), ShellEnd> {
        let mut preparing = self.background.publishing.prepare_all();
        let (mut published, mut failed) = (0, Vec::new());
        loop {
            let ready = tokio::select! {
                ready = preparing.recv() => ready,
                noticed = self.background.next() => {
                    self.handle(noticed, input).await?;
                    continue;
                }
            };
            let Some(ready) = ready else { break };
            published += self.publish_ready(ready, &mut failed).await;
        }
        for line in failed.iter().take(TOLD_MAX) {
            self.output.complain(line);
        }
        if let Some(more) = failed.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
            self.output.complain(&format!("not published as well: {more} more"));
        }
        Ok(self.output.say(&format!("Published {published} files."))?)
    }

    /// On offer here before they are listed there, as a single one. Gives how many there are.
    async fn publish_ready(&mut self, ready: Vec<PreparedFile>, failed: &mut Vec<String>) -> usize {
        let mut offers = Vec::new();
        for PreparedFile { name, result } in ready {
            match (name, result) {
                (Some(name), Ok(holding)) => {
                    self.background.publishing.stop(&name);
                    offers.push(holding.offer(&name));
                    self.shares.add(&name, holding);
                }
                (Some(name), Err(error)) => failed.push(format!("can't publish {}: {error}", name.as_str())),
                (None, result) => failed.extend(result.err().map(|error| format!("can't publish: {error}"))),
            }
        }
        let count = offers.len();
        match self.index.publish_many(offers).await {
            Ok(()) => count,
            Err(error) => {
                failed.push(format!("{count} files are not published yet: {error}"));
                0
            }
        }
    }
}
