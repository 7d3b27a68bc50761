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
//!
//! A function returns when everything held and panics when something didn't. The project's test suite includes this
//! file as a module of its own and replays the corpora: so nothing here knows libFuzzer, and siblings are named by
//! `super::`.
#![forbid(unsafe_code)]

mod datagram;
mod index_steps;
mod legacy_get;
mod legacy_json;
mod round_trip;
mod stream;

pub use datagram::datagram;
pub use index_steps::index_steps;
pub use legacy_get::legacy_get;
pub use legacy_json::legacy_json;
pub use round_trip::round_trip;
pub use stream::stream;

/// Panics when these bytes break something.
pub type Property = fn(&[u8]);

/// Every target: its name, which is also its corpus's, and what it checks.
pub const TARGETS: [(&str, Property); 6] = [
    ("datagram", datagram),
    ("stream", stream),
    ("legacy_json", legacy_json),
    ("legacy_get", legacy_get),
    ("round_trip", round_trip),
    ("index_steps", index_steps),
];
