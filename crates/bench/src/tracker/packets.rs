//! The datagrams of BEP 15, the UDP tracker protocol, as far as an announce needs them. All numbers are big-endian.
//!
//! | datagram | bytes |
//! |---|---|
//! | connect | protocol id 8, action 4, transaction id 4 |
//! | its answer | action 4, transaction id 4, connection id 8 |
//! | announce | connection id 8, action 4, transaction id 4, info hash 20, peer id 20, downloaded 8, left 8, uploaded 8, event 4, address 4, key 4, peers wanted 4, port 2 |
//! | its answer | action 4, transaction id 4, interval 4, leechers 4, seeders 4, then 6 for each peer |
//! | refusal | action 4, transaction id 4, a text |

use bytes::{Buf as _, BufMut as _, BytesMut};

/// Bytes of an info hash, and of a peer id.
pub(super) const HASH_BYTES: usize = 20;

/// Bytes of an announce.
pub(super) const ANNOUNCE_BYTES: usize = 98;

const PROTOCOL_ID: u64 = 0x0417_2710_1980;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const REFUSAL: u32 = 3;

/// A peer who says that it has, or wants, a content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announce {
    /// What the tracker has given to this address.
    pub(super) connection_id: u64,
    /// Comes back with the answer.
    pub(super) transaction_id: u32,
    /// Which content.
    pub(super) info_hash: [u8; HASH_BYTES],
    /// Who asks.
    pub(super) peer_id: [u8; HASH_BYTES],
    /// Bytes that it still wants: none if it has all.
    pub(super) left_bytes: u64,
    /// How many peers the answer may have.
    pub(super) peers_wanted: u32,
    /// Where it listens.
    pub(super) port: u16,
}

/// What a tracker says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    /// That of the question.
    pub(super) transaction_id: u32,
    /// What it says.
    pub(super) body: Body,
}

/// The rest of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Body {
    /// To connect: the connection id.
    Connected(u64),
    /// To an announce: how many peers it names.
    Announced(usize),
    /// To either.
    Refused(String),
}

/// Appends a question for a connection id.
pub(super) fn write_connect(transaction_id: u32, out: &mut BytesMut) {
    out.put_u64(PROTOCOL_ID);
    out.put_u32(CONNECT);
    out.put_u32(transaction_id);
}

impl Announce {
    /// Appends it.
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.put_u64(self.connection_id);
        out.put_u32(ANNOUNCE);
        out.put_u32(self.transaction_id);
        out.put_slice(&self.info_hash);
        out.put_slice(&self.peer_id);
        out.put_u64(0);
        out.put_u64(self.left_bytes);
        out.put_u64(0);
        // No event: one of the announces that a peer repeats. No address: that which it comes from. No key.
        out.put_bytes(0, 12);
        out.put_u32(self.peers_wanted);
        out.put_u16(self.port);
    }
}

impl Answer {
    /// Reads a datagram; `None` when it is no answer.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let (action, transaction_id) = (bytes.try_get_u32().ok()?, bytes.try_get_u32().ok()?);
        let body = match action {
            CONNECT => Body::Connected(bytes.try_get_u64().ok()?),
            ANNOUNCE => {
                let peers_bytes = bytes.len().checked_sub(12)?;
                if !peers_bytes.is_multiple_of(6) {
                    return None;
                }
                Body::Announced(peers_bytes / 6)
            }
            REFUSAL => Body::Refused(String::from_utf8_lossy(bytes).into_owned()),
            _ => return None,
        };
        Some(Self { transaction_id, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_has_the_bytes_of_bep_15() {
        let mut out = BytesMut::new();
        write_connect(0x0102_0304, &mut out);
        assert_eq!(out[..], [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn an_announce_has_its_fields_where_bep_15_has_them() {
        let announce = Announce {
            connection_id: 0x1122_3344_5566_7788,
            transaction_id: 0x0102_0304,
            info_hash: [0xaa; HASH_BYTES],
            peer_id: [0xbb; HASH_BYTES],
            left_bytes: 0x0a0b,
            peers_wanted: 2,
            port: 0x1a2b,
        };
        let mut out = BytesMut::new();
        announce.write(&mut out);
        assert_eq!(out.len(), ANNOUNCE_BYTES);
        assert_eq!(out[..8], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
        assert_eq!(out[8..16], [0, 0, 0, 1, 1, 2, 3, 4]);
        assert_eq!(out[16..36], [0xaa; 20]);
        assert_eq!(out[36..56], [0xbb; 20]);
        assert_eq!(out[56..64], [0; 8], "downloaded");
        assert_eq!(out[64..72], [0, 0, 0, 0, 0, 0, 0x0a, 0x0b], "left");
        assert_eq!(out[72..80], [0; 8], "uploaded");
        assert_eq!(out[80..92], [0; 12], "event, address, key");
        assert_eq!(out[92..96], [0, 0, 0, 2], "peers wanted");
        assert_eq!(out[96..98], [0x1a, 0x2b], "port");
    }

    #[test]
    fn answers_are_read_and_those_that_are_cut_are_not() {
        let connected = [0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 9];
        let body = Body::Connected(9);
        assert_eq!(Answer::parse(&connected), Some(Answer { transaction_id: 0x0102_0304, body }));
        for end in 0..connected.len() {
            assert_eq!(Answer::parse(&connected[..end]), None, "cut at {end}");
        }

        let mut announced = vec![0, 0, 0, 1, 1, 2, 3, 4];
        announced.extend_from_slice(&[0; 12]);
        announced.extend_from_slice(&[127, 0, 0, 1, 0x1a, 0x2b, 127, 0, 0, 1, 0x1a, 0x2c]);
        let body = Body::Announced(2);
        assert_eq!(Answer::parse(&announced), Some(Answer { transaction_id: 0x0102_0304, body }));
        for end in 0..announced.len() {
            let is_whole = end == 20 || end == 26;
            assert_eq!(Answer::parse(&announced[..end]).is_some(), is_whole, "cut at {end}");
        }

        let refused = Answer::parse(b"\0\0\0\x03\x01\x02\x03\x04no").expect("a refusal");
        assert_eq!(refused.body, Body::Refused("no".to_owned()));
        assert_eq!(Answer::parse(&[0, 0, 0, 2, 0, 0, 0, 0]), None, "a scrape's answer");
    }
}
