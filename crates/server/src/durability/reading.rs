//! Reading all publications when the server starts. There may be ten million, so that three threads share the work:
//!
//! ```text
//!  rows from the disk, checked ── Rows ──▶ catalogue ── NameBlock ──▶ letters
//! ```

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use bittrickle_wire::{Content, FileName, MemberName};

use crate::index::{Catalogue, CatalogueBuilder, NameBlock, NameLetters};
use crate::store::{PublicationStore, StoreError};

/// Some publications of one member.
struct Rows {
    member: Arc<MemberName>,
    publications: Vec<(FileName, Content)>,
}

/// Publications that are handed over together, at most.
const ROWS: usize = 1_024;

/// What may wait: of rows, and of blocks of names, which are some megabytes each.
const ROWS_WAITING_MAX: usize = 64;
const BLOCKS_WAITING_MAX: usize = 2;

/// Gives all publications, or some of them when the server is to end.
///
/// # Errors
/// A row can't be read, the disk fails, or the system has no threads left.
pub(super) fn read(store: &mut PublicationStore, is_ending: &AtomicBool) -> Result<Catalogue, StoreError> {
    let builder = CatalogueBuilder::with_capacity(store.count()?);
    let (rows, received_rows) = sync_channel(ROWS_WAITING_MAX);
    let (blocks, received_blocks) = sync_channel(BLOCKS_WAITING_MAX);
    let (mut builder, letters) = thread::scope(|scope| {
        let letters = start(scope, "letters", || letters_of(received_blocks))?;
        let builder = start(scope, "catalogue", move || build(builder, received_rows, &blocks))?;
        let read = give_rows(store, &rows, is_ending);
        // There are no more.
        drop(rows);
        let builder = builder.join().expect("a catalogue is built without a panic");
        let letters = letters.join().expect("letters are added without a panic");
        read.map(|()| (builder, letters))
    })?;
    for (member, hours) in store.offline_hours()? {
        builder.set_offline_hours(member, hours);
    }
    Ok(builder.finish(letters))
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, StoreError> {
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run).map_err(StoreError::Thread)
}

/// Reads the rows, which come by member.
fn give_rows(
    store: &mut PublicationStore,
    rows: &SyncSender<Rows>,
    is_ending: &AtomicBool,
) -> Result<(), StoreError> {
    // Sending fails only when the other thread has panicked, which is told when it is joined.
    let give = |some: Option<Rows>| some.map_or(Ok(()), |some| rows.send(some));
    let mut waiting: Option<Rows> = None;
    store.for_each(|member, name, content| {
        match &mut waiting {
            Some(some) if some.member == *member && some.publications.len() < ROWS => {
                some.publications.push((name, content));
            }
            _ => {
                let publications = vec![(name, content)];
                let _ = give(waiting.replace(Rows { member: Arc::clone(member), publications }));
            }
        }
        if is_ending.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let _ = give(waiting);
    Ok(())
}

fn build(
    mut builder: CatalogueBuilder,
    rows: Receiver<Rows>,
    blocks: &SyncSender<NameBlock>,
) -> CatalogueBuilder {
    for Rows { member, publications } in rows {
        for (name, content) in publications {
            if let Some(block) = builder.add(&member, name, content) {
                let _ = blocks.send(block);
            }
        }
    }
    let _ = blocks.send(builder.last_block());
    builder
}

fn letters_of(blocks: Receiver<NameBlock>) -> NameLetters {
    let mut letters = NameLetters::default();
    blocks.into_iter().for_each(|block| letters.append(&block));
    letters
}
