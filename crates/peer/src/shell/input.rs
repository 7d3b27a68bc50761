//! Where lines come from: a terminal with editing and history, or a pipe with plain lines.
//!
//! Reading blocks, so a thread does it, one line for each time it is asked. Nothing waits for that thread when the
//! program ends; [`TerminalMode`] gives the terminal back as it was.

use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc as blocking;

use bittrickle_secret::unseen;
use bittrickle_wire::escaped;
use rustix::process::getpgrp;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

/// The user's lines.
pub struct Input {
    asks: blocking::Sender<Ask>,
    lines: mpsc::Receiver<Result<String, InputEnd>>,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub enum InputEnd {
    /// The input is at its end.
    #[error("the input is at its end")]
    End,
    /// The user pressed ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A line that can't be read, such as one that isn't UTF-8; others may follow.
    #[error("can't read that line: {0}")]
    BadLine(io::Error),
}

#[derive(Clone, Copy)]
enum Ask {
    /// A command. Remembered in the history.
    Command,
    /// An answer to a question.
    Answer(&'static str),
    /// An answer that isn't shown while it is typed.
    Secret(&'static str),
}

/// The prompt for commands, on a terminal.
const PROMPT: &str = "> ";

/// Most bytes of a line from a pipe.
const LINE_BYTES_MAX: u64 = 64 * 1024;

impl Input {
    /// The user's terminal, or what is piped into the program.
    #[must_use]
    pub fn open() -> Self {
        let (asks, asked) = blocking::channel();
        let (sender, lines) = mpsc::channel(1);
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let editor = if terminal { DefaultEditor::new().ok() } else { None };
        let mut printer: Option<Box<dyn ExternalPrinter + Send>> = None;
        match editor {
            Some(mut editor) => {
                if let Ok(external) = editor.create_external_printer() {
                    printer = Some(Box::new(external));
                }
                std::thread::spawn(move || serve(&asked, &sender, |ask| from_terminal(&mut editor, ask)));
            }
            None => {
                std::thread::spawn(move || serve(&asked, &sender, from_pipe));
            }
        }
        Self { asks, lines, printer }
    }

    /// The next command line.
    ///
    /// # Errors
    /// There is none.
    pub async fn command(&mut self) -> Result<String, InputEnd> {
        self.ask(Ask::Command).await
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// There is none.
    pub async fn answer(&mut self, question: &'static str) -> Result<String, InputEnd> {
        self.ask(Ask::Answer(question)).await
    }

    /// The answer to a question, not shown while it is typed.
    ///
    /// # Errors
    /// There is none.
    pub async fn secret(&mut self, question: &'static str) -> Result<String, InputEnd> {
        self.ask(Ask::Secret(question)).await
    }

    async fn ask(&mut self, ask: Ask) -> Result<String, InputEnd> {
        self.asks.send(ask).map_err(|_| InputEnd::End)?;
        self.line().await
    }

    /// The line that has been asked for.
    async fn line(&mut self) -> Result<String, InputEnd> {
        self.lines.recv().await.unwrap_or(Err(InputEnd::End))
    }

    /// Asks for a command line without waiting for it.
    pub fn ask_for_command(&self) {
        // If the thread has gone, `next_command` says so.
        let _ = self.asks.send(Ask::Command);
    }

    /// Waits for the line that [`Input::ask_for_command`] asked for.
    ///
    /// # Errors
    /// There is none.
    pub async fn next_command(&mut self) -> Result<String, InputEnd> {
        self.line().await
    }

    /// Says something to the user while a line may be half typed.
    pub fn notify(&mut self, text: &str) {
        let text = escaped(text);
        let shown = match &mut self.printer {
            Some(printer) => printer.print(format!("{text}\n")).is_ok(),
            None => false,
        };
        if !shown {
            eprintln!("{text}");
        }
    }
}

fn serve(
    asked: &blocking::Receiver<Ask>,
    lines: &mpsc::Sender<Result<String, InputEnd>>,
    mut read: impl FnMut(Ask) -> Result<String, InputEnd>,
) {
    while let Ok(ask) = asked.recv() {
        if lines.blocking_send(read(ask)).is_err() {
            return;
        }
    }
}

fn from_terminal(editor: &mut DefaultEditor, ask: Ask) -> Result<String, InputEnd> {
    let line = match ask {
        Ask::Secret(question) => return secret(question),
        Ask::Answer(question) => editor.readline(question),
        Ask::Command => editor.readline(PROMPT).inspect(|line| {
            // The history is a convenience: a line that isn't remembered is no error.
            let _ = editor.add_history_entry(line);
        }),
    };
    line.map_err(|error| match error {
        ReadlineError::Eof => InputEnd::End,
        ReadlineError::Interrupted => InputEnd::Interrupted,
        ReadlineError::Io(error) => InputEnd::BadLine(error),
        other => InputEnd::BadLine(io::Error::other(other)),
    })
}

fn secret(question: &str) -> Result<String, InputEnd> {
    unseen(question).map(|line| line.to_string()).map_err(secret_end)
}

fn secret_end(error: io::Error) -> InputEnd {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => InputEnd::End,
        // While a password is typed, ctrl-C is a character; it becomes a signal and this.
        io::ErrorKind::Interrupted => InputEnd::Interrupted,
        _ => InputEnd::BadLine(error),
    }
}

/// Questions go to stderr, so that stdout has nothing but answers.
fn from_pipe(ask: Ask) -> Result<String, InputEnd> {
    if let Ask::Secret(question) = ask
        && io::stdin().is_terminal()
    {
        // Only the output is piped: what is typed is still seen by whoever looks on.
        return secret(question);
    }
    if let Ask::Answer(question) | Ask::Secret(question) = ask {
        eprint!("{question}");
        let _ = io::stderr().flush();
    }
    let mut line = Vec::new();
    let mut stdin = io::stdin().lock();
    let bytes =
        stdin.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(|_| InputEnd::End)?;
    if bytes == 0 {
        return Err(InputEnd::End);
    }
    if line.pop_if(|byte| *byte == b'\n').is_none() && bytes as u64 == LINE_BYTES_MAX {
        let _ = stdin.skip_until(b'\n');
        return Err(InputEnd::BadLine(io::Error::new(io::ErrorKind::InvalidData, "it is too long")));
    }
    line.pop_if(|byte| *byte == b'\r');
    String::from_utf8(line)
        .map_err(|error| InputEnd::BadLine(io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// The terminal's settings, put back when this goes: a thread may be in the middle of editing a line or of reading a
/// password.
pub struct TerminalMode(Vec<(File, Termios)>);

impl TerminalMode {
    /// Remembers the settings as they are, of the terminal that passwords are read from and of the standard input.
    #[must_use]
    pub fn save() -> Self {
        let terminal = File::options().read(true).write(true).open("/dev/tty");
        let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        let settings = |file: File| tcgetattr(&file).ok().map(|settings| (file, settings));
        Self([terminal, input].into_iter().flatten().filter_map(settings).collect())
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        for (terminal, settings) in &self.0 {
            // Who isn't in the foreground has changed nothing, and would be stopped for trying.
            let foreground = tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp());
            if foreground {
                // The terminal may have gone; then nobody misses its settings.
                let _ = tcsetattr(terminal, OptionalActions::Now, settings);
            }
        }
    }
}
