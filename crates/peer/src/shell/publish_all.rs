//! `pub *`: everything in the folder, of which the index is told many at once.

use std::sync::Arc;
use std::time::Duration;

use bittrickle_wire::FileName;
use tokio::time::interval;

use super::output::size;
use super::publishing::Ready;
use super::{Input, Shell, ShellEnd, told_lines};
use crate::share::Holding;

/// How often it is shown how far hashing has come.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What was published so far, and what wasn't.
#[derive(Default)]
struct Told {
    files: usize,
    folders: usize,
    failed: Vec<String>,
}

impl Shell {
    /// Publishes every file and folder of the folder.
    pub(super) async fn publish_all(&mut self, input: &mut Input) -> Result<(), ShellEnd> {
        let (mut preparing, progress) = self.background.publishing.prepare_all();
        let (mut told, mut ticks) = (Told::default(), interval(PROGRESS_EVERY));
        loop {
            let ready = tokio::select! {
                ready = preparing.recv() => ready,
                noticed = self.background.next() => {
                    self.handle(noticed, input).await?;
                    continue;
                }
                _ = ticks.tick() => {
                    let (files, bytes) = (progress.files(), size(progress.bytes()));
                    let all = progress.files_in_all();
                    self.output.draw_progress("pub *", &format!("{files} of {all} files, {bytes} hashed"));
                    continue;
                }
            };
            let Some(Ready { holdings, left_out }) = ready else { break };
            told.failed.extend(left_out);
            self.publish_ready(holdings, &mut told).await;
        }
        self.output.clear_progress();
        told_lines(&told.failed, "not published").iter().for_each(|line| self.output.complain(line));
        Ok(self.output.say(&told.summary())?)
    }

    /// On offer here before they are listed there, as a single one.
    async fn publish_ready(&mut self, holdings: Vec<(FileName, Arc<Holding>)>, told: &mut Told) {
        let folders = holdings.iter().filter(|(_, holding)| holding.manifest.is_some()).count();
        let files = holdings.len() - folders;
        let mut offers = Vec::new();
        for (name, holding) in holdings {
            self.background.publishing.stop(&name);
            offers.push(holding.offer(&name));
            self.shares.add(&name, holding);
        }
        match self.index.publish_many(offers).await {
            Ok(()) => (told.files, told.folders) = (told.files + files, told.folders + folders),
            Err(error) => told.failed.push(format!(
                "{} of them are not published yet: {error}; they are once the server answers",
                files + folders
            )),
        }
    }
}

impl Told {
    fn summary(&self) -> String {
        let count =
            |count, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
        match (count(self.files, "file"), self.folders) {
            (files, 0) => format!("Published {files}."),
            (files, folders) => format!("Published {files} and {}.", count(folders, "folder")),
        }
    }
}
