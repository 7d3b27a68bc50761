//! The handshake of a stream: whom the provider hears before it says a word (BT-6.6).

use bittrickle_wire::seal::{
    STREAM_ACCEPT_BYTES, STREAM_INITIATE_BYTES, StreamAccepting, StreamError, StreamInitiating,
};
use bittrickle_wire::{FileName, Target};
use bytes::Bytes;

use super::{
    accept_stream, begin_stream, begin_stream_to, bytes_from, data, decode, device_secret, fetch,
    fetcher_secret, opaque_ticket, record, secret, stream,
};

/// BT-6.3-4, BT-6.6-2: the provider knows who asks for what, with which permission, before it answers.
#[test]
fn the_provider_learns_the_device_the_ticket_and_the_name() {
    for name in ["a", "notes.txt", "日本語.txt", &"n".repeat(255)] {
        let (_, initiate) = begin_stream(name);
        let accepting = accept_stream(&initiate);
        assert_eq!(accepting.target, Target::Name(FileName::new(name).unwrap()));
        assert_eq!((accepting.device, accepting.ticket), (fetcher_secret().public(), opaque_ticket()));
    }
}

/// BT-6.3-5, BT-6.6-1
#[test]
fn both_sides_of_a_stream_have_the_same_keys() {
    let (mut fetcher, mut provider) = stream("notes.txt");
    let mut question = record(&mut fetcher, fetch());
    assert_eq!(decode(&mut provider, &mut question).unwrap(), Some(fetch()));
    let mut answer = record(&mut provider, data(b"hello\n"));
    assert_eq!(decode(&mut fetcher, &mut answer).unwrap(), Some(data(b"hello\n")));
}

/// BT-6.6-1: who listens learns neither the name, nor its length, nor who asks, nor the ticket.
#[test]
fn the_first_messages_tell_nothing_to_who_listens() {
    let heads: Vec<_> = ["a", &"n".repeat(255)].map(|name| begin_stream(name).1).into_iter().collect();
    assert_eq!(heads[0].len(), heads[1].len());
    assert_eq!(heads[0][..44], heads[1][..44], "header and ephemeral key");
    let (_, initiate) = begin_stream("notes.txt");
    let (_, accept) = accept_stream(&initiate).finish();
    assert_eq!((initiate.len(), accept.len()), (STREAM_INITIATE_BYTES, STREAM_ACCEPT_BYTES));
    assert_eq!((initiate.len(), accept.len()), (402, 60));
    assert_eq!(initiate[..12], [0xb7, 1, 2, 2, 0, 0, 0, 0, 0, 0, 1, 0x86]);
    assert_eq!(accept[..12], [0xb7, 1, 0x82, 2, 0, 0, 0, 0, 0, 0, 0, 48]);
    let keys = [fetcher_secret().public(), device_secret().public()];
    for secret in keys.iter().map(|key| &key.as_bytes()[..]).chain([&opaque_ticket().0.0[..], b"notes.txt"]) {
        for message in [&initiate, &accept] {
            assert!(!message.windows(secret.len()).any(|window| window == secret));
        }
    }
}

/// BT-6.6-2
#[test]
fn an_initiate_for_another_providers_key_is_refused() {
    let (_, initiate) = begin_stream_to(&secret(0x99).public(), "notes.txt", 0xe0);
    let result = StreamAccepting::new(&device_secret(), &initiate[..].try_into().unwrap(), bytes_from(0x10));
    assert!(matches!(result.err(), Some(StreamError::Noise(_))));
}

/// BT-6.6-7
#[test]
fn an_accept_of_somebody_without_the_providers_key_fails() {
    let (waiting, _) = begin_stream("notes.txt");
    let (_, theirs) = begin_stream_to(&secret(0x99).public(), "notes.txt", 0xe0);
    let accepting =
        StreamAccepting::new(&secret(0x99), &theirs[..].try_into().unwrap(), bytes_from(0x10)).unwrap();
    assert!(matches!(finish(waiting, &accepting.finish().1), Some(StreamError::Noise(_))));
}

/// BT-6.6-2: nothing of it can be changed, and a provider says nothing to who tries.
#[test]
fn a_flipped_bit_of_a_streams_initiate_is_refused() {
    let (_, initiate) = begin_stream("notes.txt");
    for bit in 0..8 * initiate.len() {
        let mut flipped: [u8; STREAM_INITIATE_BYTES] = initiate[..].try_into().unwrap();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let result = StreamAccepting::new(&device_secret(), &flipped, bytes_from(0x10));
        let error = result.err().expect("it is refused");
        assert_eq!(error == StreamError::NotAHandshake, bit / 8 < 12, "bit {bit}: {error}");
    }
}

/// BT-6.3-6, BT-6.6-7
#[test]
fn a_flipped_bit_of_a_streams_accept_is_refused() {
    let (_, initiate) = begin_stream("notes.txt");
    let (_, accept) = accept_stream(&initiate).finish();
    for bit in 0..8 * accept.len() {
        let mut flipped = accept.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = finish(begin_stream("notes.txt").0, &flipped.into()).expect("it is refused");
        assert_eq!(error == StreamError::NotAHandshake, bit / 8 < 12, "bit {bit}: {error}");
    }
}

/// BT-6.3-2: a prologue keeps the two handshakes apart, so that a server's answer is none on a stream.
#[test]
fn handshakes_over_datagrams_and_on_streams_are_not_each_others() {
    let (waiting, _) = begin_stream("notes.txt");
    let made = super::handshake();
    let mut accept = [0; STREAM_ACCEPT_BYTES];
    accept[..12].copy_from_slice(&[0xb7, 1, 0x82, 2, 0, 0, 0, 0, 0, 0, 0, 48]);
    accept[12..].copy_from_slice(&made.accept.noise[..48]);
    assert!(finish(waiting, &Bytes::copy_from_slice(&accept)).is_some());
}

fn finish(waiting: StreamInitiating, accept: &Bytes) -> Option<StreamError> {
    waiting.finish(&accept[..].try_into().unwrap()).err()
}
