//! The blocking side of a transfer: files on a thread that may wait for the disk, so that the network never does.

use std::io::{self, Read as _};

use bittrickle_wire::limits::DATA_BYTES_MAX;
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::SharedFile;

/// Reads a file into pieces of one `Data` frame each, until all its bytes are sent or nobody takes them any more.
///
/// # Errors
/// The file is shorter than it was when it was opened, or the disk fails.
pub fn read_pieces(shared: SharedFile, pieces: &mpsc::Sender<Bytes>) -> io::Result<()> {
    let SharedFile { mut file, file_bytes } = shared;
    let mut left = file_bytes.bytes();
    while left > 0 {
        let bytes = left.min(DATA_BYTES_MAX as u64) as usize;
        let mut piece = BytesMut::zeroed(bytes);
        file.read_exact(&mut piece)?;
        left -= bytes as u64;
        if pieces.blocking_send(piece.freeze()).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
