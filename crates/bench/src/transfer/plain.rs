//! The floor of a transfer: the same bytes from one process to another over bare TCP, with nothing checked and nothing
//! sealed. The kernel feeds the sender's socket (`sendfile`); the receiver reads and writes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The receiver's last argument when the file must be on disk before it ends, as ours is.
pub(super) const DURABLE: &str = "durable";

/// Bytes that the receiver reads at once.
const READ_BYTES: usize = 256 * 1_024;

/// Bytes that the kernel is asked to send at once.
const SEND_BYTES: usize = 1_024 * 1_024;

/// Is the sender: `FILE`. Sends the whole file to everybody who connects, one after the other, until it is ended.
pub(crate) fn play_sender(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(path) = arguments.next().map(PathBuf::from) else { return ExitCode::FAILURE };
    match send_for_ever(&path) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("the plain sender can't go on: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Is the receiver: `ADDRESS [FILE [durable]]`. Ends when it has everything; without a file it discards what it reads.
pub(crate) fn play_receiver(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let address = arguments.next().and_then(|text| text.to_str()?.parse().ok());
    let Some(address) = address else { return ExitCode::FAILURE };
    let path = arguments.next().map(PathBuf::from);
    let is_durable = arguments.next().is_some_and(|word| word == DURABLE);
    match receive(address, path.as_deref(), is_durable) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the plain receiver can't go on: {error}");
            ExitCode::FAILURE
        }
    }
}

fn send_for_ever(path: &Path) -> io::Result<std::convert::Infallible> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()?;
    loop {
        let (stream, _) = listener.accept()?;
        send(&mut File::open(path)?, &stream)?;
    }
}

#[cfg(target_os = "linux")]
fn send(file: &mut File, stream: &TcpStream) -> io::Result<()> {
    while rustix::fs::sendfile(stream, &mut *file, None, SEND_BYTES)? > 0 {}
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn send(file: &mut File, mut stream: &TcpStream) -> io::Result<()> {
    copy(file, &mut stream, SEND_BYTES)
}

fn receive(address: SocketAddr, path: Option<&Path>, is_durable: bool) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let Some(path) = path else { return copy(&mut stream, &mut io::sink(), READ_BYTES) };
    let mut file = File::create_new(path)?;
    copy(&mut stream, &mut file, READ_BYTES)?;
    if is_durable { file.sync_all() } else { Ok(()) }
}

fn copy(from: &mut impl io::Read, to: &mut impl io::Write, bytes_at_once: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes_at_once];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => to.write_all(&buffer[..bytes])?,
        }
    }
}
