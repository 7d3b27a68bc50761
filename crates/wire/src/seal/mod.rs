//! Sealing: who is who, the handshake, and what is sealed with its keys (BT-6). Pure: the time, randomness and keys come
//! in as arguments, so that a test repeats a handshake byte for byte.
//!
//! | file | what it holds |
//! |---|---|
//! | `keys`, `invite` | who a device or a server is |
//! | `datagrams` | what exists outside a seal, as bytes |
//! | `cookie`, `handshake`, `session`, `replay` | between a device and a server, over datagrams |
//! | `stream`, `ticket` | between two peers, over a stream |
//! | `noise`, `cipher`, `session_keys`, `entropy` | what all of it stands on; only `noise` names `snow`, only `cipher` `ring` |

mod cipher;
mod cookie;
mod datagrams;
mod entropy;
mod handshake;
mod invite;
mod keys;
mod noise;
mod records;
mod replay;
mod session;
mod session_keys;
mod stream;
mod ticket;

pub use cipher::{Aes256Gcm, BadTag, Cipher, TAG_BYTES};
pub use cookie::{
    COOKIE_AGE_MAX, COOKIE_AHEAD_MAX, COOKIE_BYTES, COOKIE_KEY_LIFE, Cookie, CookieError, CookieKeys,
};
pub use datagrams::{
    Accept, Datagram, DatagramError, Hello, Initiate, NONCE_BYTES, Reset, Retry, SEALED_HEAD_BYTES, Sealed,
};
pub use entropy::Entropy;
pub use handshake::{Accepting, Initiating};
pub use invite::{Host, Invite, InviteError};
pub use keys::{Fingerprint, FingerprintError, KEY_BYTES, PublicKey, SecretKey};
pub use noise::{NoiseError, PROTOCOL};
pub use records::{DATA_RECORD_HEAD_BYTES, DATA_RECORD_TAIL_BYTES, Record, STREAM_KEY_FRAMES, SealedCodec};
pub use replay::{REPLAY_WINDOW, ReplayWindow};
pub use session::{DatagramSession, KeysUsedUp, OpenError, Opened, SEALED_FRAMES_MAX};
pub use session_keys::{CipherKey, SessionKeys};
pub use stream::{
    STREAM_ACCEPT_BYTES, STREAM_INITIATE_BYTES, StreamAccepting, StreamError, StreamInitiating,
};
pub use ticket::{TICKET_BYTES, TICKET_LIFE_MS_MAX, Ticket, TicketError, TicketKey};
