//! Secrets on disk and from the user, for server and peer alike.
//!
//! **On disk**: a secret is a regular file that its owner alone can read, checked on the opened handle each time it is
//! read. It is whole or it isn't there: a crash while it is written leaves at most a hidden file beside it.
//!
//! **From the user**: a password is asked for on the terminal, or comes as one line of standard input or of a file. There
//! is no way to give one in an argument or in the environment, where other users could see it.

mod error;
mod file;
mod folder;
mod key;
mod password;

pub use error::SecretError;
pub use file::{create, open, read, replace};
pub use folder::{check_folder, create_folder};
pub use key::{KEY_BYTES, read_or_create_key};
pub use password::{PASSWORD_LINE_BYTES_MAX, PasswordError, PasswordSource, password, unseen};
