//! What may stand outside a seal: read without keys, so by anybody's bytes.

use bittrickle_wire::limits::{DATAGRAM_BYTES_MAX, HEADER_BYTES, STRANGER_DATAGRAM_BYTES_MIN};
use bittrickle_wire::seal::{Datagram, DatagramError, NONCE_BYTES, SEALED_HEAD_BYTES, Sealed, TAG_BYTES};
use bytes::BytesMut;

/// The bytes are a datagram. What is read is written again as the same bytes, but for what pads a `Hello`.
pub fn outside(data: &[u8]) {
    let datagram = match Datagram::parse(data) {
        Ok(datagram) => datagram,
        Err(error) => return check_error(data, error),
    };
    assert!(data.len() <= DATAGRAM_BYTES_MAX && data[0] == 0xb7 && data[1] == 1 && data[3] == 2);
    let declared = u32::from_be_bytes([data[8], data[9], data[10], data[11]]);
    assert_eq!(declared as usize, data.len() - HEADER_BYTES);
    let mut written = BytesMut::new();
    match &datagram {
        Datagram::Hello(hello) => {
            assert!(data.len() >= STRANGER_DATAGRAM_BYTES_MIN, "a short question is never answered");
            hello.write(&mut written);
            let said = HEADER_BYTES + NONCE_BYTES;
            assert_eq!(
                (&written[..8], &written[HEADER_BYTES..said]),
                (&data[..8], &data[HEADER_BYTES..said])
            );
            assert_eq!(written.len(), STRANGER_DATAGRAM_BYTES_MIN);
            assert_eq!(Datagram::parse(&written), Ok(datagram));
            return;
        }
        Datagram::Retry(retry) => retry.write(&mut written),
        Datagram::Initiate(initiate) => initiate.write(&mut written),
        Datagram::Accept(accept) => accept.write(&mut written),
        Datagram::Reset(reset) => reset.write(&mut written),
        Datagram::Sealed(sealed) => return check_sealed(data, sealed),
    }
    assert_eq!(written, data, "a datagram has one form");
}

fn check_sealed(data: &[u8], sealed: &Sealed) {
    assert!(data.len() >= SEALED_HEAD_BYTES + HEADER_BYTES + TAG_BYTES, "it has room for a frame");
    assert_eq!(sealed.index.to_be_bytes(), data[4..8]);
    assert_eq!(sealed.counter.to_be_bytes(), data[HEADER_BYTES..SEALED_HEAD_BYTES]);
}

/// An error says what is wrong, so that it is counted under the right name.
fn check_error(data: &[u8], error: DatagramError) {
    match error {
        DatagramError::NotOutside => {
            let known = |kind| matches!(kind, 0x01..=0x03 | 0x81..=0x83);
            assert!(data.len() < HEADER_BYTES || data[0] != 0xb7 || !known(data[2]));
        }
        DatagramError::Version(version) => assert!(version != 1 && version == data[1]),
        DatagramError::Encoding(encoding) => assert!(encoding != 2 && encoding == data[3]),
        DatagramError::Length(bytes) => assert_eq!(bytes, data.len()),
    }
}
