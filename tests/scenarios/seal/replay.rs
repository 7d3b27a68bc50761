//! Sealed datagrams that come twice, out of order, or from another session (BT-6.5).

use bittrickle_wire::seal::{OpenError, Opened, REPLAY_WINDOW, SEALED_FRAMES_MAX};
use bittrickle_wire::{FramingError, Kind, Received, Verdict};
use bytes::BytesMut;
use tokio_util::codec::Encoder as _;

use super::vectors::key_bytes;
use super::{
    Handshake, SERVER_INDEX, by_hand, handshake, handshake_of, heartbeat, login, open, opened_frame, sealed,
};

/// BT-6.5-4
#[test]
fn each_datagram_is_opened_once() {
    let Handshake { mut device, mut server, .. } = handshake();
    let datagrams: Vec<_> = (0..300).map(|id| sealed(&mut device, login(id))).collect();
    for (id, datagram) in (0..).zip(&datagrams) {
        assert_eq!(opened_frame(&mut server, datagram), login(id));
        assert_eq!(open(&mut server, datagram).err(), Some(OpenError::Replay));
    }
    for datagram in &datagrams {
        assert_eq!(open(&mut server, datagram).err(), Some(OpenError::Replay));
    }
}

/// BT-6.5-4: the highest one and the 255 before it.
#[test]
fn a_datagram_may_be_as_late_as_the_window_is_wide() {
    for (behind, is_taken) in
        [(0, false), (1, true), (2, true), (254, true), (255, true), (256, false), (257, false)]
    {
        let Handshake { mut server, .. } = handshake();
        let highest = 1_000;
        assert!(open(&mut server, &numbered(highest)).unwrap().is_newest);
        let late = open(&mut server, &numbered(highest - behind));
        match late {
            Ok(Opened { is_newest, .. }) => assert!(is_taken && !is_newest, "{behind} behind"),
            Err(error) => assert!(!is_taken && error == OpenError::Replay, "{behind} behind: {error}"),
        }
        assert_eq!(open(&mut server, &numbered(highest - behind)).err(), Some(OpenError::Replay));
    }
    assert_eq!(REPLAY_WINDOW, 256);
}

/// BT-6.5-4: counters wrap around in the window's memory, so each step is taken once more.
#[test]
fn a_step_of_any_size_forgets_what_is_too_far_behind_and_nothing_else() {
    for step in [1, 2, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1 << 20, (1 << 32) - 600] {
        let Handshake { mut server, .. } = handshake();
        for counter in (300..500).step_by(2).chain([500]) {
            open(&mut server, &numbered(counter)).unwrap();
        }
        let highest = 500 + step;
        open(&mut server, &numbered(highest)).unwrap();
        for counter in (240..=500).chain((highest - 257).max(501)..=highest) {
            let was_seen = counter == highest || ((300..=500).contains(&counter) && counter % 2 == 0);
            let expected = highest - counter < 256 && !was_seen;
            assert_eq!(
                open(&mut server, &numbered(counter)).is_ok(),
                expected,
                "{counter} and then {highest}"
            );
        }
    }
}

/// BT-6.5-6: the last counter that a key may seal with, and the first that it may not.
#[test]
fn counters_end_where_keys_are_used_up() {
    assert_eq!(SEALED_FRAMES_MAX, 1 << 32);
    let Handshake { mut server, .. } = handshake();
    for counter in [SEALED_FRAMES_MAX, SEALED_FRAMES_MAX + 1, u64::MAX] {
        assert_eq!(open(&mut server, &numbered(counter)).err(), Some(OpenError::UsedUp), "{counter}");
    }
    assert!(open(&mut server, &numbered(0)).unwrap().is_newest, "those have changed nothing");
    assert!(open(&mut server, &numbered(SEALED_FRAMES_MAX - 1)).unwrap().is_newest);
    assert!(!open(&mut server, &numbered(SEALED_FRAMES_MAX - 2)).unwrap().is_newest);
    assert_eq!(open(&mut server, &numbered(1)).err(), Some(OpenError::Replay));
}

/// BT-6.5-4: the window moves only when the tag was right.
#[test]
fn a_forged_counter_moves_nothing() {
    let Handshake { mut server, mut device, .. } = handshake();
    let first = sealed(&mut device, login(1));
    for counter in [0_u64, 1, 255, 256, 1 << 20, SEALED_FRAMES_MAX - 1] {
        let mut forged = first.clone();
        forged[12..20].copy_from_slice(&counter.to_be_bytes());
        forged[30] ^= 1;
        assert!(matches!(open(&mut server, &forged), Err(OpenError::BadTag(_))), "{counter}");
    }
    assert!(open(&mut server, &first).unwrap().is_newest);
}

/// BT-6.5-4: shuffled and repeated by the network, each is opened once, as long as none is later than the window is wide.
#[test]
fn shuffled_and_repeated_datagrams_are_each_opened_once() {
    let Handshake { mut device, mut server, .. } = handshake();
    let mut arrivals = Vec::new();
    let mut state = 1_u64;
    for id in 0..2_000_u32 {
        let datagram = sealed(&mut device, heartbeat(id));
        for _ in 0..=id % 3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            arrivals.push((u64::from(id) + (state >> 56), id, datagram.clone()));
        }
    }
    arrivals.sort_by_key(|(at, id, _)| (*at, *id));
    let mut opened = vec![0; 2_000];
    for (_, id, datagram) in &arrivals {
        if open(&mut server, datagram).is_ok() {
            opened[usize::try_from(*id).unwrap()] += 1;
        }
    }
    assert_eq!(opened, vec![1; 2_000]);
}

/// BT-6.5-5: the sessions have equal indexes, so that keys alone tell them apart.
#[test]
fn a_frame_sealed_for_one_session_opens_in_no_other() {
    let (mut one, mut other) = (handshake(), handshake_of(0x41, 0x61));
    let (question, answer) = (sealed(&mut one.device, login(1)), sealed(&mut one.server, login(2)));
    for session in [&mut other.device, &mut other.server, &mut one.device] {
        assert!(matches!(open(session, &question), Err(OpenError::BadTag(_))));
    }
    for session in [&mut other.device, &mut other.server, &mut one.server] {
        assert!(matches!(open(session, &answer), Err(OpenError::BadTag(_))));
    }
    assert_eq!(opened_frame(&mut one.server, &question), login(1));
    assert_eq!(opened_frame(&mut one.device, &answer), login(2));
}

/// BT-6.5-2: a frame that is sealed twice is two datagrams with nothing in common behind their header.
#[test]
fn no_frame_is_sealed_to_the_same_bytes_twice() {
    let mut device = handshake().device;
    let (first, second) = (sealed(&mut device, login(1)), sealed(&mut device, login(1)));
    assert_eq!(first[..12], second[..12]);
    assert_ne!(first[12..20], second[12..20], "the counter");
    assert_ne!(first[20..], second[20..]);
    let mut behind = BytesMut::from(&b"before"[..]);
    device.seal(login(1), &mut behind).unwrap();
    assert_eq!(behind[..6], b"before"[..], "what stood in the buffer stays");
    assert!(open(&mut handshake().server, &behind[6..]).is_ok());
}

/// BT-6.1-2: what stands outside a seal has no place in one.
#[test]
fn a_datagram_inside_a_seal_is_refused_or_dropped() {
    let mut server = handshake().server;
    let kinds = [Kind::Hello, Kind::Initiate, Kind::Sealed, Kind::Retry, Kind::Accept, Kind::Reset];
    for (counter, kind) in (0..).zip(kinds) {
        let text = [0xb7, 1, kind.code(), 2, 0, 0, 0, 9, 0, 0, 0, 0];
        let received = open(&mut server, &with_text(counter, &text)).unwrap().frame.unwrap().unwrap();
        let Received::Bad(bad) = received else { panic!("{received:?}") };
        match bad.verdict() {
            Verdict::Answer(answer) if !kind.is_reply() => assert_eq!(answer.request_id, 9),
            Verdict::Drop if kind.is_reply() => {}
            verdict => panic!("{kind:?}: {verdict:?}"),
        }
    }
}

/// BT-6.5-1, BT-1.4-1: one whole frame, as in any datagram; what is sealed badly takes its counter all the same.
#[test]
fn a_sealed_datagram_holds_one_whole_frame() {
    let mut server = handshake().server;
    let mut frame = BytesMut::new();
    bittrickle_wire::DatagramCodec.encode(heartbeat(1), &mut frame).unwrap();
    let twice = [&frame[..], &frame[..]].concat();
    let result = open(&mut server, &with_text(0, &twice)).unwrap().frame;
    assert!(matches!(result, Err(FramingError::TrailingBytes(12))), "{result:?}");
    let cut = [0xb7, 1, 0x11, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    let result = open(&mut server, &with_text(1, &cut)).unwrap().frame;
    assert!(matches!(result, Err(FramingError::Short { missing: 1 })), "{result:?}");
    let result = open(&mut server, &with_text(2, b"GET notes.txt")).unwrap().frame;
    assert!(matches!(result, Err(FramingError::NotAFrame(b'G'))), "{result:?}");
    for counter in 0..3 {
        assert_eq!(open(&mut server, &numbered(counter)).err(), Some(OpenError::Replay));
    }
}

/// What the device of the vectors would seal with this counter.
fn numbered(counter: u64) -> Vec<u8> {
    let mut frame = BytesMut::new();
    bittrickle_wire::DatagramCodec.encode(heartbeat(1), &mut frame).unwrap();
    with_text(counter, &frame)
}

fn with_text(counter: u64, text: &[u8]) -> Vec<u8> {
    by_hand::datagram(&device_to_server(), SERVER_INDEX, counter, text)
}

fn device_to_server() -> Vec<u8> {
    static KEY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    KEY.get_or_init(|| key_bytes("device_to_server")).clone()
}
