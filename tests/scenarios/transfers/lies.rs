//! Sources that lie, alone and beside honest ones; and an index that lies for them.

use std::sync::Mutex;

use bittrickle_tests::content::{Content, Entry, PIECE, data, random_bytes};
use bittrickle_tests::get::Taker;
use bittrickle_tests::sealed_index::{Answer, SealedIndex};
use bittrickle_tests::server::Server;
use bittrickle_tests::source::{Act, Acting, Source, asks_for, honest};
use bittrickle_wire::messages::{Described, Fetch, Part};
use bittrickle_wire::{FileBytes, Kind, Message, Root};

use super::{ALICE, BOB, CAROL, DAVE, MIB, SLOW, assert_failed, assert_fetched, peer, redescribed, taker};
use crate::programs;

/// The same answer, in which one byte of this piece isn't right.
fn spoil(request: &Message, answer: Vec<Message>, piece: u32) -> Vec<Message> {
    let Message::Fetch(Fetch { part: Part::PIECES, first, count }) = request else { return answer };
    if !(*first..*first + *count).contains(&piece) {
        return answer;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for message in &answer {
        let Message::Data(part) = message else { return answer };
        bytes.extend_from_slice(part);
    }
    let at = ((piece - *first) as usize * PIECE + 12_345).min(bytes.len() - 1);
    bytes[at] ^= 0x10;
    data(&bytes)
}

/// BT-3.5-3, BT-3.5-4: of three sources, one has a wrong byte in one piece. Whether it is asked for that one or for others, what
/// is fetched is right.
#[test]
fn wrong_bytes_in_one_piece_from_one_of_three_sources_do_no_harm() {
    let server = Server::start(&programs());
    let bytes = random_bytes(8 * MIB, 2);
    let (mut alice, mut dave) = (peer(&server, ALICE, SLOW), peer(&server, DAVE, SLOW));
    alice.share("file.bin", &bytes);
    dave.share("file.bin", &bytes);
    let liar = Source::start(&server, CAROL, "file.bin", &Content::file(&bytes), |request, answer| {
        // Whatever it is asked for first: it is fast, so it is asked for something.
        let Message::Fetch(Fetch { part: Part::PIECES, first, .. }) = request else {
            return Act::Send(answer);
        };
        Act::Send(spoil(request, answer, *first))
    });
    let bob = taker(&server, BOB);
    let ended = bob.get("file.bin");
    assert_fetched(&bob, &ended, "file.bin", &bytes);
    let told = ended.told();
    let line = told.lines().find(|line| line.contains("it sends wrong bytes for piece")).expect(&told);
    assert!(line.contains(&format!("carol at {}", liar.address())), "{told}");
    assert!(line.contains("it is not asked again"), "{told}");
    assert_eq!(liar.connections("file.bin"), 1, "{told}");
}

/// A frame that brings no byte.
fn nothing() -> Message {
    Message::Data(Default::default())
}

/// Sources that break the rules, each with what the taker says of it.
fn liars() -> Vec<(&'static str, Acting, &'static str)> {
    let on = |part: Part, lie: fn(&Message, Vec<Message>) -> Act| -> Acting {
        Box::new(
            move |request, answer| {
                if asks_for(request, part) { lie(request, answer) } else { Act::Send(answer) }
            },
        )
    };
    let describes = |change: fn(&mut Described)| -> Acting {
        Box::new(move |_, answer| Act::Send(redescribed(answer, change)))
    };
    let zeros = || data(&[0; 65_280]).remove(0);
    vec![
        ("another root", describes(|it| it.root = Some(Root::of(b"another"))), "another content"),
        ("no root", describes(|it| it.root = None), "another content"),
        ("another size", describes(|it| it.file_bytes = FileBytes::new(1).unwrap()), "another content"),
        ("no folder", describes(|it| it.manifest_bytes = None), "another content"),
        (
            "a manifest of another size",
            describes(|it| it.manifest_bytes = Some(FileBytes::new(9).unwrap())),
            // What it sends then is more than that, or another content.
            "it is not asked again",
        ),
        (
            "another manifest",
            on(Part::MANIFEST, |_, answer| {
                let Some(Message::Data(bytes)) = answer.first() else { panic!("{answer:?}") };
                let mut bytes = bytes.to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                Act::Send(data(&bytes))
            }),
            "another content",
        ),
        (
            "an endless manifest",
            on(Part::MANIFEST, |_, _| Act::Repeat(data(&[0; 65_280]).remove(0))),
            "more bytes",
        ),
        (
            "an endless outline",
            on(Part::OUTLINE, |_, _| Act::Repeat(data(&[0; 65_280]).remove(0))),
            "more bytes",
        ),
        (
            "an outline of nothing, without end",
            on(Part::OUTLINE, |_, _| Act::Repeat(nothing())),
            "where that has no place",
        ),
        ("nothing, without end", on(Part::PIECES, |_, _| Act::Repeat(nothing())), "where that has no place"),
        (
            "another outline",
            on(Part::OUTLINE, |_, answer| {
                let Some(Message::Data(bytes)) = answer.first() else { panic!("{answer:?}") };
                Act::Send(data(&vec![7; bytes.len()]))
            }),
            "chaining values",
        ),
        (
            "endless pieces",
            Box::new(
                move |request, answer| {
                    if asks_for(request, Part::PIECES) { Act::Repeat(zeros()) } else { Act::Send(answer) }
                },
            ),
            "wrong bytes for piece",
        ),
        (
            "wrong bytes",
            on(Part::PIECES, |request, answer| {
                let Message::Fetch(Fetch { first, count, .. }) = request else { panic!("{request:?}") };
                Act::Send(spoil(request, answer, first + count - 1))
            }),
            "wrong bytes for piece",
        ),
        (
            "other frames",
            on(Part::PIECES, |_, _| Act::Send(vec![Message::Renewed(bittrickle_wire::messages::Renewed {})])),
            "where that has no place",
        ),
    ]
}

/// BT-3.3-3, BT-3.5-1, BT-3.5-2, BT-3.5-3, BT-3.5-4: with an honest source beside it, each does no harm; alone, it gets nothing
/// under the name, and the exit code says why.
#[test]
fn sources_that_all_lie_bring_nothing_and_one_honest_one_brings_everything() {
    let server = Server::start(&programs());
    let large = random_bytes(2 * MIB + 5, 3);
    let (liar, helper) = (Source::log_in(&server, ALICE), Source::log_in(&server, CAROL));
    let cases = Mutex::new(liars());
    let next = || cases.lock().unwrap().pop();
    // A download that finds nobody but liars asks for others for a while: several wait at a time.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let bob = taker(&server, BOB);
                while let Some((what, act, told)) = next() {
                    // Each its own content: sources of the same one would be one swarm.
                    let [folder, file] = [Entry::Folder("a"), Entry::File("a/large", &large)];
                    let content = Content::folder(&[folder, file, Entry::File("b", what.as_bytes())]);
                    liar.share(what, &content, act);
                    assert_lie(&bob, &liar, what, told);
                    helper.share(what, &content, honest);
                    let ended = bob.get(what);
                    assert_eq!(ended.code(), Some(0), "{what}: {}", ended.told());
                    assert_eq!(bob.left_overs(), Vec::<String>::new(), "{what}");
                    assert!(std::fs::read(bob.path(what).join("a/large")).unwrap() == large, "{what}");
                }
            });
        }
    });
}

fn assert_lie(bob: &Taker, liar: &Source, what: &str, told: &str) {
    let ended = bob.get(what);
    assert_eq!(ended.code(), Some(10), "{what}: {}", ended.told());
    let line = format!("alice at {}: ", liar.address());
    assert!(ended.told().contains(&line) && ended.told().contains(told), "{what}: {}", ended.told());
    assert!(ended.told().contains("every source sends wrong bytes"), "{what}: {}", ended.told());
    assert!(!bob.names().contains(&what.to_owned()), "{what}");
    assert_eq!(liar.connections(what), 1, "{what}: it isn't asked again");
}

/// BT-3.6-4: bytes with the right root that are no manifest. No source has lied, and nothing is written.
#[test]
fn what_is_no_manifest_is_never_written() {
    let server = Server::start(&programs());
    let bob = taker(&server, BOB);
    let entry = |kind: u8, path: &str| {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&u16::try_from(path.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(path.as_bytes());
        if kind != 0 {
            bytes.extend_from_slice(&0_u64.to_be_bytes());
            bytes.extend_from_slice(blake3::hash(b"").as_bytes());
        }
        bytes
    };
    let of = |entries: &[Vec<u8>]| [b"BTM1".to_vec(), entries.concat()].concat();
    let outside = tempfile::tempdir().unwrap();
    let absolute = outside.path().join("evil");
    let manifests: Vec<(&str, Vec<u8>)> = vec![
        ("another beginning", b"BTM2".to_vec()),
        ("cut", of(&[entry(1, "a")[..9].to_vec()])),
        ("bytes behind it", of(&[entry(1, "a"), vec![0]])),
        ("a path upwards", of(&[entry(1, "../evil")])),
        ("a path upwards in the middle", of(&[entry(0, "a"), entry(1, "a/../../evil")])),
        ("an absolute path", of(&[entry(1, absolute.to_str().unwrap())])),
        ("the folder itself", of(&[entry(0, ".")])),
        ("an empty name", of(&[entry(0, "a"), entry(1, "a//b")])),
        ("an escape", of(&[entry(1, "a\u{1b}[2J")])),
        ("another kind", of(&[entry(3, "a")])),
        ("a link", of(&[entry(4, "a")])),
        ("no folder on the way", of(&[entry(1, "a/b")])),
        ("a file on the way", of(&[entry(1, "a"), entry(1, "a/b")])),
        ("another order", of(&[entry(1, "b"), entry(1, "a")])),
        ("twice the same", of(&[entry(1, "a"), entry(1, "a")])),
    ];
    let source = Source::log_in(&server, ALICE);
    for (number, (what, manifest)) in manifests.into_iter().enumerate() {
        let files = vec![&b""[..]; manifest.iter().filter(|byte| **byte == 1).count()];
        let content = Content::with_manifest(&manifest, &files);
        let name = format!("folder {number}");
        source.share(&name, &content, honest);
        let ended = bob.get(&name);
        assert_failed(&bob, &ended, 10);
        assert!(ended.told().contains("what is shared as a folder is none"), "{what}: {}", ended.told());
        assert!(!ended.told().contains("it is not asked again"), "{what}: {}", ended.told());
        assert_eq!(bob.names(), Vec::<String>::new(), "{what}");
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

/// An index that lists this and names this source.
fn index_that_lists(name: &str, file_bytes: u64, root: Root, source: &Source) -> SealedIndex {
    let content = format!(r#"{{"file_bytes":{file_bytes},"root":"{root}","is_folder":false}}"#);
    let hit = format!(r#"{{"name":"{name}","content":{content},"members":1,"sources":1}}"#);
    let found = format!(r#"{{"hits":[{hit}],"next":null}}"#);
    let access = format!(r#"{{"device":"{}","ticket":"{}"}}"#, source.device().public(), "5a".repeat(32));
    let at = source.address();
    let source = format!(r#"{{"member":"alice","address":"{at}","content":{content},"access":{access}}}"#);
    let located = format!(r#"{{"members":1,"sources":[{source}],"next":null}}"#);
    SealedIndex::start(move |request| match request.kind() {
        Kind::Search => Answer::Json(Kind::Found, found.clone()),
        Kind::Locate => Answer::Json(Kind::Located, located.clone()),
        _ => Answer::Honest,
    })
}

/// BT-3.5-2: an index that lists another size or another root than the content has. With a source that goes along with it, too:
/// nothing gets the name that isn't what the root says.
#[test]
fn an_index_that_lists_another_size_or_root_brings_nothing() {
    let bytes = random_bytes(2 * MIB + 100, 7);
    let content = Content::file(&bytes);
    let (root, size) = (content.root(), bytes.len() as u64);
    // It sends as many bytes as they say, and where it can, the true outline.
    let goes_along = |file_bytes: u64, root: Root| -> Acting {
        let mut resized = bytes.clone();
        resized.resize(usize::try_from(file_bytes.min(4 << 20)).unwrap(), 0);
        let resized = Content::file(&resized);
        let file_bytes = FileBytes::new(file_bytes).unwrap();
        Box::new(move |request, answer| match request {
            Message::Describe(_) => Act::Send(redescribed(answer, |described| {
                (described.file_bytes, described.root) = (file_bytes, Some(root));
            })),
            Message::Fetch(Fetch { part: Part::OUTLINE, count: 3, .. }) => Act::Send(answer),
            request => Act::Send(resized.answer(request, false)),
        })
    };
    let cases: Vec<(&str, u64, Root, bool)> = vec![
        ("a byte more", size + 1, root, false),
        ("a byte less", size - 1, root, false),
        ("another root", size, Root::of(b"another"), false),
        ("a byte more, and the source says so", size + 1, root, true),
        ("a byte less, and the source says so", size - 1, root, true),
        ("a piece more, and the source says so", size + PIECE as u64, root, true),
        ("one piece, and the source says so", 100, root, true),
        ("nothing, and the source says so", 0, root, true),
        ("the largest there is, and the source says so", (1 << 53) - 1, root, true),
        ("another root, and the source says so", size, Root::of(b"another"), true),
    ];
    // Each asks for other sources for a while: all wait together.
    std::thread::scope(|scope| {
        for (what, size, root, is_along) in cases {
            let act: Acting = if is_along { goes_along(size, root) } else { Box::new(honest) };
            let source = Source::unlisted();
            source.serve("file.bin", &content, act);
            scope.spawn(move || {
                let index = index_that_lists("file.bin", size, root, &source);
                let bob = Taker::join(&programs(), &index, BOB.0, BOB.1);
                let ended = bob.get("file.bin");
                println!("{what}: {}", ended.told());
                let code = if size > 1 << 50 { 9 } else { 10 };
                assert_failed(&bob, &ended, code);
            });
        }
    });
}
