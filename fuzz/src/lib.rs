//! What must hold for any bytes, one function a fuzz target.
//!
//! | target | what it feeds |
//! |---|---|
//! | [`datagram`](datagram()) | one datagram, to the codec and to a server |
//! | [`stream`](stream()) | a stream that arrives in pieces |
//! | [`legacy_json`](legacy_json()) | the original's datagrams |
//! | [`legacy_get`](legacy_get()) | the original's `GET name`, and names from afar |
//! | [`round_trip`](round_trip()) | one message, through both encodings |
//! | [`index_steps`](index_steps()) | a history, to the index and to a model of it |
//! | [`outside`](outside()) | a datagram outside a seal |
//! | [`handshake`](handshake()) | a message that isn't the other side's, to each side of a handshake |
//! | [`sealed_stream`](sealed_stream()) | a sealed stream that somebody has changed |
//! | [`seal_texts`](seal_texts()) | keys, fingerprints and invites |
//! | [`manifest`](manifest()) | the manifest of a folder |
//! | [`journal`](journal()) | the journal of a download, torn or changed |
//!
//! A function returns when everything held and panics when something didn't. The project's test suite includes this
//! file as a module of its own and replays the corpora: so nothing here knows libFuzzer, and siblings are named by
//! `super::`.
#![forbid(unsafe_code)]

mod datagram;
mod handshake;
mod index_steps;
mod journal;
mod legacy_get;
mod legacy_json;
mod manifest;
mod names;
mod outside;
mod round_trip;
mod seal_texts;
mod sealed_stream;
mod stream;

pub use datagram::datagram;
pub use handshake::handshake;
pub use index_steps::{index_abyss, index_crowds, index_history, index_steps};
pub use journal::journal;
pub use legacy_get::legacy_get;
pub use legacy_json::legacy_json;
pub use manifest::manifest;
pub use outside::outside;
pub use round_trip::round_trip;
pub use seal_texts::seal_texts;
pub use sealed_stream::sealed_stream;
pub use stream::stream;

/// Panics when these bytes break something.
pub type Property = fn(&[u8]);

/// Every target: its name, which is also its corpus's, and what it checks.
pub const TARGETS: [(&str, Property); 12] = [
    ("datagram", datagram),
    ("stream", stream),
    ("legacy_json", legacy_json),
    ("legacy_get", legacy_get),
    ("round_trip", round_trip),
    ("index_steps", index_steps),
    ("outside", outside),
    ("handshake", handshake),
    ("sealed_stream", sealed_stream),
    ("seal_texts", seal_texts),
    ("manifest", manifest),
    ("journal", journal),
];
