//! Passwords from the user: from the terminal, from standard input, or from a file.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::{SecretError, read};

/// Most bytes of a line, or of a file, from which a password is taken.
pub const PASSWORD_LINE_BYTES_MAX: usize = 4 * 1024;

/// Where a password comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PasswordSource {
    /// It is asked for on the terminal, without showing it.
    Terminal,
    /// The first line of standard input.
    Stdin,
    /// The first line of a file that its owner alone can read.
    File(PathBuf),
}

/// Why there is no password. No message holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// No terminal to ask on.
    #[error("there is no terminal to ask for the password on; use --password-stdin or --password-file")]
    NoTerminal(#[source] io::Error),
    /// The terminal failed, or the user ended the input.
    #[error("the password wasn't entered: {0}")]
    NotEntered(#[source] io::Error),
    /// Two different passwords were typed.
    #[error("the two passwords are different; start again and type the same one twice")]
    Different,
    /// Standard input failed.
    #[error("can't read the password from standard input: {0}")]
    Stdin(#[source] io::Error),
    /// The file can't be used.
    #[error("can't take the password from a file: {0}")]
    File(#[from] SecretError),
    /// There is no line, or an empty one.
    #[error("the password is empty; type one, or put it into the first line")]
    Empty,
    /// The line is longer than any password.
    #[error("the password's line is longer than {PASSWORD_LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the password is not text in UTF-8")]
    NotText,
}

/// Takes a password, without its line ending. On the terminal `prompt` is shown, and with `twice` it is asked for a second
/// time, against slips of the hand. Of standard input no byte behind the line is read. Nothing but the length is checked.
///
/// # Errors
/// There is no terminal, nothing is entered, or the file or its permissions aren't acceptable.
pub fn password(
    source: &PasswordSource,
    prompt: &str,
    twice: bool,
) -> Result<Zeroizing<String>, PasswordError> {
    match source {
        PasswordSource::Terminal => ask(prompt, twice),
        PasswordSource::Stdin => {
            // A handle of its own: the standard library's buffer would keep a copy of the password.
            let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(PasswordError::Stdin)?;
            first_line(&mut File::from(stdin))
        }
        PasswordSource::File(path) => first_line(&mut read(path, PASSWORD_LINE_BYTES_MAX)?.as_slice()),
    }
}

fn ask(prompt: &str, twice: bool) -> Result<Zeroizing<String>, PasswordError> {
    // Asked for by itself, so that "no terminal" isn't taken for anything else that can go wrong with one.
    File::options().read(true).write(true).open("/dev/tty").map_err(PasswordError::NoTerminal)?;
    let password = ask_once(prompt)?;
    if twice && *ask_once("The same once more: ")? != *password {
        return Err(PasswordError::Different);
    }
    Ok(password)
}

/// Asks at the terminal for a line that isn't shown while it is typed.
///
/// # Errors
/// There is no terminal, or no line. [`io::ErrorKind::Interrupted`]: ctrl-C was typed.
pub fn unseen(prompt: &str) -> io::Result<Zeroizing<String>> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    // Before the question: whoever sees it, and types at once, isn't seen.
    let _quiet = Quiet::begin(&terminal)?;
    terminal.write_all(prompt.as_bytes())?;
    terminal.flush()?;
    rpassword::read_password().map(Zeroizing::new)
}

/// A terminal that doesn't show what is typed, until this goes.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin(terminal: &File) -> io::Result<Self> {
        let (terminal, before) = (terminal.try_clone()?, tcgetattr(terminal)?);
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // The terminal may have gone; then nobody misses its settings.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

fn ask_once(prompt: &str) -> Result<Zeroizing<String>, PasswordError> {
    let typed = unseen(prompt).map_err(PasswordError::NotEntered)?;
    match typed.len() {
        0 => Err(PasswordError::Empty),
        length if length > PASSWORD_LINE_BYTES_MAX => Err(PasswordError::TooLong),
        _ => Ok(typed),
    }
}

/// Reads up to the first line feed, byte by byte so that what follows is left to whoever reads next.
fn first_line(input: &mut impl Read) -> Result<Zeroizing<String>, PasswordError> {
    let mut line = Zeroizing::new([0; PASSWORD_LINE_BYTES_MAX]);
    let mut length = 0;
    loop {
        let mut byte = Zeroizing::new([0]);
        match input.read(&mut *byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => *line.get_mut(length).ok_or(PasswordError::TooLong)? = byte[0],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(PasswordError::Stdin(error)),
        }
        length += 1;
    }
    let line = line[..length].strip_suffix(b"\r").unwrap_or(&line[..length]);
    match str::from_utf8(line) {
        Ok("") => Err(PasswordError::Empty),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(PasswordError::NotText),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_ending_and_no_more_is_read() {
        for text in ["won der", "won der\n", "won der\r\n", "won der\nsecond\n"] {
            assert_eq!(*first_line(&mut text.as_bytes()).unwrap(), "won der", "{text:?}");
        }
        let mut input = "first\nsecond".as_bytes();
        first_line(&mut input).unwrap();
        assert_eq!(input, b"second");
    }

    #[test]
    fn what_is_no_password_is_refused() {
        let refused = |bytes: &[u8]| first_line(&mut &*bytes).unwrap_err();
        assert!(matches!(refused(b""), PasswordError::Empty));
        assert!(matches!(refused(b"\r\nsecond"), PasswordError::Empty));
        assert!(matches!(refused(b"\xff\n"), PasswordError::NotText));
        assert!(matches!(refused(&[b'a'; PASSWORD_LINE_BYTES_MAX + 1]), PasswordError::TooLong));
        assert_eq!(first_line(&mut [b'a'; PASSWORD_LINE_BYTES_MAX].as_slice()).unwrap().len(), 4096);
    }

    #[test]
    fn a_password_file_must_be_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "wonderland\n").unwrap();
        let source = PasswordSource::File(path.clone());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = password(&source, "", false).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && !error.contains("wonderland"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(*password(&source, "", false).unwrap(), "wonderland");
        crate::replace(&path, &[b'a'; PASSWORD_LINE_BYTES_MAX + 1]).unwrap();
        assert!(matches!(
            password(&source, "", false),
            Err(PasswordError::File(SecretError::TooLong { .. }))
        ));
    }
}
