//! Sealed input costs no more memory than its own length either (BT-1.2-4).

use allocation_counter::measure;
use bittrickle_wire::limits::{DATA_BYTES_MAX, HEADER_BYTES};
use bittrickle_wire::seal::{Accepting, Aes256Gcm, Datagram, StreamAccepting};
use bytes::BytesMut;
use tokio_util::codec::Decoder as _;

use super::{
    accept_stream, begin_stream, bytes_from, data, device_secret, every_datagram, fetch, handshake,
    initiating, login, record, sealed, server_secret, stream,
};

/// Bytes that may be reserved for an input, beside four times its length.
const MEMORY_BYTES: u64 = 4 * 1024;

/// BT-1.2-4, BT-6.4-4: reading what stands outside a seal reserves nothing at all.
#[test]
fn a_datagram_is_read_without_memory() {
    for (name, bytes) in every_datagram() {
        for end in 0..=bytes.len() {
            let info = measure(|| drop(Datagram::parse(&bytes[..end])));
            assert_eq!(info.count_total, 0, "{name} cut at {end}: {info:?}");
        }
        for declared in [0, 1, 0x7fff_ffff, u32::MAX] {
            let mut bytes = bytes.clone();
            bytes[8..12].copy_from_slice(&declared.to_be_bytes());
            assert_eq!(measure(|| drop(Datagram::parse(&bytes))).count_total, 0, "{name}");
        }
    }
}

/// BT-1.2-4, BT-6.4-2: a server checks cookies and tags of anybody who sends some.
#[test]
fn what_is_forged_costs_no_more_than_its_length() {
    let mut made = handshake();
    let cookie_info = measure(|| {
        let result = super::cookie_keys().check(super::NOW, super::from(), &[0; 16], &made.retry.cookie);
        assert!(result.is_err());
    });
    assert_eq!(cookie_info.count_total, 0, "{cookie_info:?}");
    let good = sealed(&mut made.device, login(1));
    let mut forged = good.clone();
    forged[40] ^= 1;
    for (what, datagram, is_good) in [("forged", forged, false), ("good", good, true)] {
        let Ok(Datagram::Sealed(head)) = Datagram::parse(&datagram) else { panic!("{what}") };
        let (length, mut buffer) = (datagram.len(), datagram);
        let info = measure(|| assert_eq!(made.server.open(head, &mut buffer).is_ok(), is_good));
        assert_cheap(what, length, info.bytes_max);
    }
}

/// BT-1.2-4: a handshake's state is small, whether it comes to something or not.
#[test]
fn handshakes_cost_little_memory() {
    let made = handshake();
    let mut forged = made.initiate;
    forged.noise[100] ^= 1;
    for (what, initiate) in [("good", made.initiate), ("forged", forged)] {
        let info = measure(|| drop(Accepting::new(&server_secret(), &initiate, bytes_from(0x60))));
        assert_cheap(what, 256, info.bytes_max);
        assert_eq!(info.count_current, 0, "all of it is given back");
    }
    let (mut waiting, _) = initiating(&made.retry, 0x40);
    let info = measure(|| drop(waiting.finish::<Aes256Gcm>(&made.accept)));
    assert_cheap("Accept", 64, info.bytes_max);
    let (_, initiate) = begin_stream("notes.txt");
    let initiate = initiate[..].try_into().unwrap();
    let info = measure(|| drop(StreamAccepting::new(&device_secret(), &initiate, bytes_from(0x10))));
    assert_cheap("a stream's Initiate", initiate.len(), info.bytes_max);
    let accepting = accept_stream(&initiate);
    assert_cheap("a stream's Accept", 60, measure(|| drop(accepting.finish())).bytes_max);
}

/// BT-1.2-4: a record is reserved once its length was held against its limit, and one that is too long never.
#[test]
fn a_records_header_reserves_no_more_than_a_record() {
    for bytes in [0_u32, 27, 1_181, 65_309, 1 << 20, u32::MAX] {
        for mut codec in [stream("a").0, stream("a").1] {
            let mut header = BytesMut::from(&[0xb7, 1, 3, 2, 0, 0, 0, 0][..]);
            header.extend_from_slice(&bytes.to_be_bytes());
            let info = measure(|| drop(codec.decode(&mut header)));
            let most = if bytes == 1_181 { 2 * 1_193 } else { 512 };
            assert!(info.bytes_total <= most, "{bytes}: {info:?}");
        }
    }
    let most = HEADER_BYTES + DATA_BYTES_MAX + 16;
    let mut header = BytesMut::from(&[0xb7, 1, 3, 2, 0, 0, 0, 0][..]);
    header.extend_from_slice(&u32::try_from(most).unwrap().to_be_bytes());
    let mut fetcher = stream("a").0;
    let info = measure(|| drop(fetcher.decode(&mut header)));
    assert!(info.bytes_total <= 2 * u64::try_from(most).unwrap(), "{info:?}");
}

/// BT-1.2-4: records are opened where they stand; file bytes are handed on as they came.
#[test]
fn records_are_opened_in_place() {
    let (mut fetcher, mut provider) = stream("a");
    for frame in [data(&[7; DATA_BYTES_MAX]), data(b"a")] {
        let mut sealed = record(&mut provider, frame);
        let info = measure(|| assert!(matches!(fetcher.decode(&mut sealed), Ok(Some(_)))));
        assert!(info.bytes_total < 512, "{info:?}");
    }
    let mut sealed = record(&mut fetcher, fetch());
    let length = sealed.len();
    let info = measure(|| assert!(matches!(provider.decode(&mut sealed), Ok(Some(_)))));
    assert_cheap("Fetch", length, info.bytes_max);
}

fn assert_cheap(what: &str, input_bytes: usize, reserved_bytes: u64) {
    let allowed = 4 * u64::try_from(input_bytes).unwrap() + MEMORY_BYTES;
    assert!(reserved_bytes <= allowed, "{what}: {reserved_bytes} bytes for {input_bytes}");
}
