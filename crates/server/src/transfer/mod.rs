//! All that a server knows as lines of JSON: an export, which a backup is made of too.
//!
//! ```text
//! {"bittrickle_export":{"version":1}}
//! {"member":{"member":"alice","password":"$argon2id$…","disabled":false,"created_unix_s":1767225600}}
//! {"device":{"device":"64 hexadecimal digits","member":"alice","enrolled_unix_s":1767225600}}
//! {"offline":{"member":"alice","hours":12}}
//! {"publication":{"member":"alice","name":"a.iso","content":{"file_bytes":5,"root":"64 digits","is_folder":false}}}
//! {"end":{"members":1,"devices":1,"offline":1,"publications":1}}
//! ```
//! The first line says what it is, the last one how many lines of each kind there are. A member's line comes before all
//! lines that name the member.
//!
//! | file | what it holds |
//! |---|---|
//! | `line.rs` | a line, and reading lines |
//! | `give.rs` | from the stores to lines |
//! | `take.rs` | from lines to the stores |

mod give;
mod line;
mod take;

pub(crate) use give::{GiveError, give};
pub(crate) use line::{LINE_BYTES_MAX, is_end};
pub(crate) use take::{TakeError, Taken, take_in};

use crate::store::{MemberSnapshot, PublicationSnapshot};

/// All that a server knows, as it was at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) members: MemberSnapshot,
    pub(crate) publications: PublicationSnapshot,
}

#[cfg(test)]
mod tests;
