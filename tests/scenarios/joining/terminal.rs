//! What a person at a terminal is asked, and what is taken for an answer. The terminals are pseudo-terminals of the
//! kernel's.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

use bittrickle_tests::network::Way;
use bittrickle_tests::process::Process;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::{Device, is_hello, proxy_before};
use crate::programs;

/// A person's end of a terminal: what was shown there, and a keyboard.
struct Terminal {
    keyboard: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Also gives the program's end.
    fn open() -> (Self, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).and_then(|()| unlockpt(&ours)).unwrap();
        let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
        let keyboard = File::from(ours);
        let (mut screen, shown) = (keyboard.try_clone().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&shown);
        // Ends when no program has the other end any more.
        std::thread::spawn(move || {
            let mut buffer = [0; 1_024];
            while let Ok(bytes @ 1..) = screen.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..bytes]);
            }
        });
        (Self { keyboard, shown }, theirs)
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn type_text(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }
}

/// Starts a program whose standard streams are all a terminal.
fn start(mut command: Command) -> (Terminal, Process) {
    let (terminal, theirs) = Terminal::open();
    command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
    (terminal, Process::new(command.spawn().unwrap()))
}

/// Joins with a bare address, at a terminal, and answers the question so.
fn join_and_answer(device: &Device, host: &str, fingerprint: &str, answer: &str) -> ExitStatus {
    let password = device.0.path().join("password");
    write_secret(&password, "wonderland\n");
    let arguments = ["join", host, "--user", "alice", "--password-file", password.to_str().unwrap()];
    let (mut terminal, mut process) = start(device.command(&arguments));
    wait_until("the question is asked", || terminal.shown().contains("(yes/no)"));
    assert!(terminal.shown().contains(fingerprint), "{}", terminal.shown());
    terminal.type_text(answer);
    process.wait()
}

fn write_secret(path: &Path, text: &str) {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// BT-6.2-5
#[test]
fn only_a_yes_typed_at_a_terminal_accepts_an_unknown_key() {
    let (server, device) = (Server::start(&programs()), Device::new());
    let (_proxy, recording, invite) = proxy_before(&server);
    let (host, fingerprint) = (invite.host.as_str(), invite.key.fingerprint().to_string());
    for answer in ["no\n", "y\n", "YES\n", "\n", "yes please\n", "\u{4}"] {
        let ended = join_and_answer(&device, host, &fingerprint, answer);
        assert_eq!(ended.code(), Some(4), "{answer:?}");
    }
    assert!(recording.going(Way::There).iter().all(|sent| is_hello(sent)), "nothing more is sent");
    assert!(!device.kept().contains_key("servers.json"));
    assert!(join_and_answer(&device, host, &fingerprint, "yes\n").success());
    assert!(device.shell(&[]).status.success());
}

/// The same command as the first process of a session of its own, whose terminal its standard input is.
fn with_a_session(command: &Command) -> Command {
    let mut with_a_session = Command::new("setsid");
    with_a_session.arg("--ctty").arg(command.get_program()).args(command.get_args());
    with_a_session
}

/// BT-2.11-2
#[test]
fn a_password_is_typed_unseen_and_three_times_at_most() {
    if Command::new("setsid").arg("--version").output().is_err() {
        println!("this machine has no `setsid`: passed over");
        return;
    }
    let (server, device) = (Server::start(&programs()), Device::new());
    let invite = server.invite().to_string();
    let command = device.command(&["join", &invite, "--user", "alice"]);
    let type_password = |terminal: &mut Terminal, before: usize, password: &str| {
        wait_until("it is asked for", || terminal.shown().matches("Password of alice").count() > before);
        terminal.type_text(password);
    };
    for (typed, code) in [
        (&["guess\n", "wonderland\n"][..], 0),
        (&["guess\n", "\n", "guess\n"], 4),
        (&["guess\n", "wonder\u{3}"], 130),
    ] {
        let (mut terminal, mut process) = start(with_a_session(&command));
        typed.iter().enumerate().for_each(|(n, password)| type_password(&mut terminal, n, password));
        assert_eq!(process.wait().code(), Some(code), "{}", terminal.shown());
        let shown = terminal.shown();
        assert!(!shown.contains("guess") && !shown.contains("wonder"), "{shown}");
    }
}
