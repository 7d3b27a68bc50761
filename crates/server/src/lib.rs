//! BitTrickle's index server: who is a member, who is online, who shares what.
//!
//! [`index`] and [`responder`] are pure: a datagram, an address and the time go in, a datagram comes out. The rest is
//! the IO around them: [`udp`] drives the socket, [`data_dir`] owns the folder, [`cli`] reads the command line.

pub mod access;
pub mod cli;
pub mod credentials;
pub mod data_dir;
pub mod index;
pub mod responder;
pub mod udp;
