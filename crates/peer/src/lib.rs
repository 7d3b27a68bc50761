//! BitTrickle's peer: publishes, finds and fetches files.
//!
//! Pure: [`session`] (what to say to the index, and when), [`transfer`] (what a peer may answer, and how slowly), and
//! the shell's commands. IO: [`net`] (sockets), [`share`] (the folder), [`shell`] (the terminal), [`cli`].

pub mod cli;
pub mod net;
pub mod session;
pub mod share;
pub mod shell;
pub mod transfer;
