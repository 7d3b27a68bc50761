//! BitTrickle's peer: publishes, finds and fetches files.
//!
//! Pure: [`session`] (what to say to the index, and when), [`transfer`] (what a peer may answer, and how slowly), and
//! the shell's commands. IO: [`net`] (sockets), [`share`] (the folder), [`state`] (the device's key, the servers that
//! it has joined), [`shell`] (the terminal), [`cli`].

pub mod channel;
pub mod cli;
pub mod content;
pub mod net;
mod resend;
pub mod session;
pub mod share;
pub mod shell;
pub mod state;
pub mod transfer;
