//! The original's datagrams: what is read can be written and read again, and every reply fits its reader's buffer.

use bittrickle_wire::legacy::{Reply, Request, sentence};
use bittrickle_wire::limits::LEGACY_DATAGRAM_BYTES_MAX;

/// The bytes are a request, a reply, and the names of a list, one a line.
pub fn legacy_json(data: &[u8]) {
    if let Ok(request) = Request::decode(data) {
        let bytes = request.encode();
        check_printable(&bytes);
        assert_eq!(Request::decode(&bytes).expect("what is written can be read"), request);
    }
    if let Ok(reply) = Reply::decode(data) {
        check_reply(&reply);
    }
    check_lists(data);
}

/// The list of a reply is the longest beginning of `names` that fits a datagram (BT-4.2-4).
pub(super) fn check_cut(reply: &Reply, names: &[String]) {
    assert!(reply.encode().len() <= LEGACY_DATAGRAM_BYTES_MAX, "more than the original reads");
    let kept = match reply {
        Reply::Users(kept) | Reply::Files(_, kept) => kept,
        Reply::Success(_) | Reply::Fail(_) | Reply::Peer(_) => panic!("{reply:?} has no list"),
    };
    assert!(names.starts_with(kept), "{kept:?} is not how {names:?} begins");
    if let Some(next) = names.get(kept.len()) {
        let mut longer = reply.clone();
        if let Reply::Users(list) | Reply::Files(_, list) = &mut longer {
            list.push(next.clone());
        }
        assert!(longer.encode().len() > LEGACY_DATAGRAM_BYTES_MAX, "{next:?} had room");
    }
}

/// Escapes make a reply longer: only one that still fits can be read again.
fn check_reply(reply: &Reply) {
    let bytes = reply.encode();
    check_printable(&bytes);
    match Reply::decode(&bytes) {
        Ok(again) => assert_eq!(again, *reply),
        Err(error) => assert!(bytes.len() > LEGACY_DATAGRAM_BYTES_MAX, "{error}"),
    }
}

fn check_lists(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let names: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let lists = [Reply::users(names.clone()), Reply::files(sentence::FOUND, names.clone())];
    for reply in lists {
        check_cut(&reply, &names);
        check_reply(&reply);
    }
}

/// As Python prints it: one line of printable ASCII (BT-4.1-2).
fn check_printable(bytes: &[u8]) {
    assert!(bytes.iter().all(|byte| matches!(byte, b' '..=b'~')), "{}", bytes.escape_ascii());
}
