//! Sockets that a thread waits for, while a task decides how long.

use std::io;
use std::net::{Shutdown, TcpStream};

/// Shuts a connection down when it is dropped, which ends the thread that waits for it. That thread can't tell it from an end
/// that the other side has made: what it has read by then may be cut off.
pub(super) struct Closing(TcpStream);

impl Closing {
    /// A stream for a thread that waits, and what ends that wait.
    pub(super) fn blocking(stream: tokio::net::TcpStream) -> io::Result<(TcpStream, Self)> {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        let closing = Self(stream.try_clone()?);
        Ok((stream, closing))
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
