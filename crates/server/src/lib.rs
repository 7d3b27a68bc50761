//! BitTrickle's index server: who is a member, who is online, who shares what.
//!
//! [`index`] and [`responder`] are pure: a datagram, an address and the time go in, a datagram comes out. The rest is
//! the IO around them: [`udp`] drives the socket, [`data_dir`] owns the folder, [`cli`] reads the command line.

pub mod access;
pub mod accounts;
mod admin;
pub mod cli;
pub mod control;
pub mod credentials;
pub mod data_dir;
pub mod directory;
pub mod durability;
pub mod index;
pub mod responder;
pub mod sealing;
pub mod server_key;
pub mod store;
mod transfer;
pub mod udp;
