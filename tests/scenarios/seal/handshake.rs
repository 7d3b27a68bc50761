//! The handshake over datagrams: both sides end with the same keys, or with none.

use bittrickle_wire::seal::{Accept, Accepting, Aes256Gcm, DatagramSession, Initiating, NoiseError, Retry};
use bytes::BytesMut;

use super::{
    DEVICE_INDEX, Handshake, NOW, SERVER_INDEX, bytes_from, cookie_keys, device_secret, every_datagram, from,
    handshake, handshake_of, initiating, logged_in, login, opened_frame, sealed, secret, server_secret,
};

/// BT-6.3-1, BT-6.3-3, BT-6.3-5: what one side seals, the other opens, and both know the other's index.
#[test]
fn both_sides_have_the_same_keys() {
    let Handshake { mut device, mut server, .. } = handshake();
    assert_eq!((device.remote_index(), server.remote_index()), (SERVER_INDEX, DEVICE_INDEX));
    for id in 0..3 {
        let (question, answer) = (sealed(&mut device, login(id)), sealed(&mut server, logged_in(id)));
        assert_eq!(opened_frame(&mut server, &question), login(id));
        assert_eq!(opened_frame(&mut device, &answer), logged_in(id));
    }
    assert_eq!((device.sent(), server.sent()), (3, 3));
}

/// BT-6.7-1: both sides have one key for tickets, which nobody else has.
#[test]
fn both_sides_have_the_same_key_for_tickets_and_another_handshake_has_another() {
    let (made, other) = (handshake(), handshake_of(0x41, 0x60));
    let key = made.server.ticket_key(false);
    assert!(made.device.ticket_key(true) == key && made.device_keys.ticket_key(true) == key);
    assert!(made.device.ticket_key(false) != key, "who began matters");
    assert!(other.server.ticket_key(false) != key);
    assert!(handshake_of(0x40, 0x61).server.ticket_key(false) != key);
}

/// BT-6.3-1: the server learns the device's key, and who listens does not.
#[test]
fn no_key_but_the_servers_is_seen_by_who_listens() {
    let device = device_secret().public();
    for (name, bytes) in every_datagram() {
        let seen = |key: &[u8]| bytes.windows(key.len()).any(|window| window == key);
        assert!(!seen(device.as_bytes()), "{name}");
        assert_eq!(seen(server_secret().public().as_bytes()), name == "Retry", "{name}");
    }
}

/// BT-6.3-6: a message for another server's key is not opened.
#[test]
fn an_initiate_for_another_servers_key_fails() {
    let made = handshake();
    let (_, for_another) =
        Initiating::new(&device_secret(), &secret(0x21).public(), &made.retry, bytes_from(0x40));
    assert_eq!(Accepting::new(&server_secret(), &for_another, bytes_from(0x60)).err(), Some(NoiseError));
    assert_eq!(Accepting::new(&secret(0x21), &made.initiate, bytes_from(0x60)).err(), Some(NoiseError));
}

/// BT-6.2-4, BT-6.3-6: who answers without the key has no session.
#[test]
fn an_accept_of_somebody_without_the_servers_key_fails() {
    let made = handshake();
    let (mut waiting, _) = initiating(&made.retry, 0x40);
    // Somebody in between makes the device's handshake with a key of their own, as far as it goes.
    let (_, theirs) =
        Initiating::new(&device_secret(), &secret(0x99).public(), &made.retry, bytes_from(0x40));
    let accepting = Accepting::new(&secret(0x99), &theirs, bytes_from(0x60)).unwrap();
    let (_, forged): (DatagramSession, Accept) = accepting.finish(SERVER_INDEX);
    assert!(waiting.finish::<Aes256Gcm>(&forged).is_err());
    assert!(waiting.finish::<Aes256Gcm>(&made.accept).is_ok(), "the true one is still taken");
}

/// BT-6.3-6: forged answers cost the device nothing but the time to read them.
#[test]
fn the_true_accept_is_taken_behind_many_forged_ones() {
    let made = handshake();
    let (mut waiting, _) = initiating(&made.retry, 0x40);
    for round in 0..=u8::MAX {
        let forged = Accept { device_index: DEVICE_INDEX, noise: bytes_from(round) };
        assert!(waiting.finish::<Aes256Gcm>(&forged).is_err());
        let mut mixed = made.accept;
        mixed.noise[usize::from(round) % 52] ^= 1 | round;
        assert!(waiting.finish::<Aes256Gcm>(&mixed).is_err());
    }
    let (mut device, _) = waiting.finish::<Aes256Gcm>(&made.accept).unwrap();
    let mut server = made.server;
    assert_eq!(opened_frame(&mut server, &sealed(&mut device, login(1))), login(1));
    assert!(waiting.finish::<Aes256Gcm>(&made.accept).is_err(), "one answer makes one session");
}

/// BT-6.3-6, BT-6.1-3: the index stands outside of what Noise protects, so that anybody can change it.
#[test]
fn an_accept_for_another_index_is_passed_over_and_the_true_one_is_taken() {
    let made = handshake();
    let (mut waiting, _) = initiating(&made.retry, 0x40);
    for bit in 0..32 {
        let elsewhere = Accept { device_index: DEVICE_INDEX ^ 1 << bit, ..made.accept };
        assert!(waiting.finish::<Aes256Gcm>(&elsewhere).is_err());
    }
    assert!(waiting.finish::<Aes256Gcm>(&made.accept).is_ok());
}

/// BT-6.3-2: an answer to another handshake of the same device doesn't fit.
#[test]
fn an_accept_of_another_handshake_fails() {
    let (made, other) = (handshake(), handshake_of(0x41, 0x61));
    let (mut waiting, _) = initiating(&made.retry, 0x40);
    assert!(waiting.finish::<Aes256Gcm>(&other.accept).is_err());
    // Nor does one with the same ephemeral secret, when the cookie was another.
    let cookie = cookie_keys().make(NOW, from(), &bytes_from(0x81));
    let (mut waiting, _) = initiating(&Retry { cookie, ..made.retry }, 0x40);
    assert!(waiting.finish::<Aes256Gcm>(&made.accept).is_err());
}

/// BT-6.4-7: the same `Initiate` can be answered by the same `Accept`.
#[test]
fn the_same_inputs_give_the_same_bytes() {
    let written = |made: Handshake| {
        let mut out = BytesMut::new();
        made.initiate.write(&mut out);
        made.accept.write(&mut out);
        let Handshake { mut device, .. } = made;
        out.extend_from_slice(&sealed(&mut device, login(1)));
        out
    };
    let bytes = written(handshake());
    assert_eq!(written(handshake()), bytes);
    let [another_device, another_server] =
        [(0x41, 0x60), (0x40, 0x61)].map(|(d, s)| written(handshake_of(d, s)));
    assert_ne!(another_device[..256], bytes[..256], "Initiate");
    assert_eq!(another_server[..256], bytes[..256], "Initiate");
    assert_ne!(another_server[256..320], bytes[256..320], "Accept");
    assert_ne!(another_server[320..], bytes[320..], "Sealed");
}
