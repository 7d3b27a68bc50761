//! What people copy and compare: keys, fingerprints and invites (BT-6.2).

use bittrickle_wire::seal::{Fingerprint, Host, Invite, InviteError, PublicKey};

use super::server_secret;

/// BT-6.2-3: eight groups of four, with capitals and without dashes too.
#[test]
fn a_fingerprint_is_read_as_people_write_it() {
    let key = server_secret().public();
    let (fingerprint, text) = (key.fingerprint(), key.fingerprint().to_string());
    assert_eq!(text.len(), 8 * 4 + 7);
    assert!(
        text.split('-')
            .all(|group| group.len() == 4 && group.bytes().all(|b| b"0123456789abcdef".contains(&b)))
    );
    for written in [text.clone(), text.to_uppercase(), text.replace('-', ""), format!(" {text}\n")] {
        assert_eq!(written.parse(), Ok(fingerprint), "{written:?}");
    }
    let blake3 = blake3::hash(key.as_bytes()).to_hex();
    assert_eq!(text.replace('-', ""), blake3[..32]);
    for wrong in ["", "-", &text[1..], &format!("{text}0"), &text.replace('-', " "), &text.replace('-', ":")]
    {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong:?}");
    }
}

/// BT-6.2-3: what is compared tells keys apart.
#[test]
fn keys_that_differ_in_a_bit_have_other_fingerprints() {
    let key = server_secret().public();
    for bit in 0..256 {
        let mut other = *key.as_bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(PublicKey::from_bytes(other).fingerprint(), key.fingerprint(), "bit {bit}");
    }
}

/// BT-6.2-4
#[test]
fn an_invite_is_read_as_it_is_written() {
    let key = server_secret().public();
    let label = "h".repeat(253);
    for host in
        ["a:1", "index.example.org:16980", "192.0.2.1:65535", "[::1]:1", "[2001:db8::1]:16980", "a_b-c.d:2"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{label}:65535")])
    {
        let text = format!("bt://{host}/{key}");
        let invite: Invite = text.parse().unwrap();
        assert_eq!((invite.host.as_str(), invite.key), (&host[..], key));
        assert_eq!(invite.to_string(), text);
        assert_eq!(format!(" \t{text}\r\n").parse(), Ok(invite), "white space around it comes from copying");
        assert_eq!(host.parse::<Host>().unwrap().to_string(), host);
    }
}

/// BT-6.2-4: nothing is guessed; a key that was damaged is never another key.
#[test]
fn a_text_that_is_no_invite_is_refused() {
    let key = server_secret().public().to_string();
    for host in [
        "",
        ":",
        "a",
        "a:",
        ":1",
        "a:0",
        "a:65536",
        "a:-1",
        "a:+1",
        "a: 1",
        "a:1 ",
        "a b:1",
        "a@b:1",
        "a%b:1",
        "é:1",
        "a\u{200b}:1",
        "::1:1",
        "[::1]",
        "[::1]:",
        "[]:1",
        "[1.2.3.4]:1",
        "[::1%lo]:1",
        "[::1:1",
        "a]:1",
        "[a]:1",
        "a:1:2",
        "bt://a:1",
        "a\0:1",
        "a:١",
    ] {
        let result = format!("bt://{host}/{key}").parse::<Invite>();
        assert!(result.is_err(), "{host:?}: {result:?}");
        assert_eq!(host.parse::<Host>(), Err(InviteError::Host), "{host:?}");
    }
    assert_eq!(format!("bt://{}:65535/{key}", "h".repeat(254)).parse::<Invite>(), Err(InviteError::Host));
    for scheme in ["", "bt:/", "BT://", "http://", "bt://bt://", "://"] {
        assert!(format!("{scheme}a:1/{key}").parse::<Invite>().is_err(), "{scheme:?}");
    }
    let upper = key.to_uppercase();
    for damaged in [
        "",
        &key[1..],
        &format!("{key}0"),
        &upper,
        &format!("{key}/"),
        &format!("/{key}"),
        &key.replace('a', "g"),
    ] {
        assert_eq!(format!("bt://a:1/{damaged}").parse::<Invite>(), Err(InviteError::Key), "{damaged:?}");
        assert!(damaged.parse::<PublicKey>().is_err(), "{damaged:?}");
    }
}
