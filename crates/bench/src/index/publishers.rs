//! The members whose files are searched and located: they publish once, then stay online beside the measurements.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_wire::Encoding;
use bittrickle_wire::messages::{Heartbeat, Offer, Publish, Request};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::seal::Aes256Gcm;

use crate::catalog;
use crate::client::{Client, ClientError};
use crate::people::DEVICES_PER_MEMBER;
use crate::server::Server;

/// Members who are online and offer files. They log out by silence when this value is dropped.
#[derive(Debug)]
pub(super) struct Publishers {
    stop: Option<Sender<()>>,
    heartbeats: Option<JoinHandle<()>>,
}

/// How many of them there are, each with one device.
pub(super) const PUBLISHERS: usize = 8;

/// Every name has one publisher, and each of these many a second one: as with real files, most names are rare.
const SHARED_EVERY: usize = 3;

/// How often each says that it is still there; the index waits for 7 s.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// The publishers' devices: the first one of each member.
pub(super) fn devices() -> impl Iterator<Item = usize> + Clone {
    (0..PUBLISHERS).map(|number| number * DEVICES_PER_MEMBER)
}

impl Publishers {
    /// Logs them in and has them publish the first `names` files of the [`catalog`].
    ///
    /// # Errors
    /// The server doesn't answer or refuses.
    pub(super) fn publish(server: &Server, names: usize) -> Result<Self, ClientError> {
        let mut clients = Vec::new();
        for (number, device) in devices().enumerate() {
            let mut client = Client::log_in(server, device)?;
            let own = |file: &usize| {
                file % PUBLISHERS == number
                    || (file.is_multiple_of(SHARED_EVERY) && (file + 1) % PUBLISHERS == number)
            };
            publish_all(&mut client, (0..names).filter(own).map(catalog::offer))?;
            clients.push(client);
        }
        let (stop, stopped) = mpsc::channel();
        let heartbeats = std::thread::spawn(move || {
            while stopped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                for client in &mut clients {
                    if let Err(error) = client.ask(Request::Heartbeat(Heartbeat {})) {
                        // The measurements notice: what they look for isn't there any more.
                        eprintln!("a publisher has gone offline: {error}");
                        return;
                    }
                }
            }
        });
        Ok(Self { stop: Some(stop), heartbeats: Some(heartbeats) })
    }
}

impl Drop for Publishers {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heartbeats) = self.heartbeats.take() {
            // It has printed what went wrong.
            let _ = heartbeats.join();
        }
    }
}

/// Publishes file after file, as many in one request as fit.
fn publish_all(
    client: &mut Client<Aes256Gcm>,
    offers: impl Iterator<Item = Offer>,
) -> Result<(), ClientError> {
    let mut page = PageBuilder::new(Encoding::Bincode);
    for offer in offers {
        if let Err(offer) = page.push(offer) {
            client.ask(Request::Publish(Publish { files: page.finish() }))?;
            page = PageBuilder::new(Encoding::Bincode);
            page.push(offer).expect("the first entry always fits");
        }
    }
    client.ask(Request::Publish(Publish { files: page.finish() })).map(drop)
}
