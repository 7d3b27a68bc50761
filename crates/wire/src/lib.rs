//! BitTrickle's wire format: bytes to values and values to bytes.
//!
//! **Goals.** One place that knows every byte on the wire, for the server, the peer, tests, fuzzers and benchmarks.
//! Every value is checked while it is read, so that whoever holds one needs no check of its own. Bad input costs no
//! more memory than its own length, never panics, and comes back as an error that says whose fault it is.
//!
//! **Not here.** Sockets, files, clocks, randomness, logs, a runtime: the crate is pure. `tokio-util` is used for its
//! [`Decoder`](tokio_util::codec::Decoder) and [`Encoder`](tokio_util::codec::Encoder) traits alone.
//!
//! | module | what it holds | spec |
//! |---|---|---|
//! | [`codec`] | [`FrameCodec`] for streams, [`DatagramCodec`] for datagrams | BT-1.3, BT-1.4 |
//! | [`messages`] | one struct a message | BT-2, BT-3 |
//! | [`legacy`] | the original's JSON datagrams and `GET name` | BT-4 |
//! | [`limits`] | every bound | BT-5.3 |
//!
//! The normative text is in the project's `spec/`; its clauses are cited as BT-1.2-3.
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

pub mod codec;
pub mod content;
mod encoding;
mod format;
mod frame;
mod header;
mod kind;
pub mod legacy;
pub mod limits;
mod list;
pub mod messages;
mod number;
pub mod page;
pub mod seal;
mod text;

pub use codec::{DatagramCodec, FrameCodec};
pub use content::{Content, Root, RootPrefix, Target};
pub use encoding::{Encoding, Payload, PayloadError};
pub use format::Format;
pub use frame::{BadFrame, Fault, Frame, FramingError, Message, Received, Verdict};
pub use header::{Header, MAGIC, VERSION, VERSION_INDEPENDENT};
pub use kind::Kind;
pub use list::{List, ListTooLong};
pub use number::{FileBytes, Hex64, HexBytes, HexError, NumberError, SourceAddress, TransferPort};
pub use text::{
    EntryName, EntryNameRule, Escaped, Extension, ExtensionRule, FileName, FileNameRule, MemberName,
    MemberNameRule, Password, PasswordRule, Query, QueryRule, Rule, Sentence, SentenceRule, Text, TextError,
    composed, escaped, fold, is_invisible,
};
