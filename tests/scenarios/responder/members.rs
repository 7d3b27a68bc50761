//! Who is a member's and who isn't: strangers, and those whom an operator shuts out (BT-6.2-8, BT-6.2-9).

use bittrickle_server::directory::Change;
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Device, Server, secret};
use bittrickle_wire::messages::{ListFiles, RefusalCode, Reply, Request};

use super::{ALICE, BOB, heartbeat, is_refused, locate, publish, refusal};

const NOT_ENROLLED: Option<RefusalCode> = Some(RefusalCode::NOT_ENROLLED);

/// Members and online sources of a name, as others find it.
fn found(world: &mut Server, device: &mut Device, name: &str) -> (u32, u32) {
    match world.ask(device, samples::search(name, None)) {
        Some(Reply::Found(found)) => found.hits.first().map_or((0, 0), |hit| (hit.members, hit.sources)),
        other => panic!("{other:?}"),
    }
}

/// BT-6.2-8
#[test]
fn a_stranger_may_only_enrol() {
    let mut world = Server::new();
    let mut stranger = world.shake_hands(ALICE.parse().unwrap(), &secret(1)).unwrap();
    for (name, request) in samples::requests() {
        world.wait(1_000);
        if matches!(request, Request::Enrol(_)) {
            continue;
        }
        assert_eq!(refusal(&mut world, &mut stranger, request), NOT_ENROLLED, "{name}");
    }
    assert_eq!((world.responder.index.session_count(), world.responder.index.publication_count()), (0, 0));
    assert_eq!(
        world.ask(&mut stranger, samples::enrol("alice", "pw")),
        None,
        "its password is being checked"
    );
    assert_eq!(world.responder.next_check().unwrap().member, samples::member("alice"));
}

/// BT-6.2-8, BT-2.3-9: whose it becomes is said without another handshake.
#[test]
fn a_stranger_who_is_enrolled_logs_in_under_the_same_seal() {
    let mut world = Server::new();
    let mut device = world.shake_hands(ALICE.parse().unwrap(), &secret(1)).unwrap();
    assert_eq!(refusal(&mut world, &mut device, samples::login(6_000)), NOT_ENROLLED);
    world.enrol("alice", secret(1).public());
    assert_eq!(refusal(&mut world, &mut device, samples::login(6_000)), None);
}

/// BT-6.2-9: at once, before the device says another word.
#[test]
fn who_is_shut_out_is_nobodys_source_any_more_and_is_told_at_the_next_heartbeat() {
    let device = secret(1).public();
    for change in [
        Change::DeviceRevoked(device),
        Change::MemberDisabled(samples::member("alice")),
        Change::MemberRemoved(samples::member("alice")),
    ] {
        let mut world = Server::new();
        let mut alice = world.log_in("alice", 1, ALICE);
        let mut bob = world.log_in("bob", 2, BOB);
        world.ask(&mut alice, publish("a"));
        assert_eq!(found(&mut world, &mut bob, "a"), (1, 1));
        world.responder.apply(&change);
        let stays = u32::from(!matches!(change, Change::MemberRemoved(_)));
        assert_eq!(found(&mut world, &mut bob, "a"), (stays, 0), "{change:?}");
        assert!(locate(&mut world, &mut bob, "a").sources.is_empty(), "{change:?}");
        assert_eq!(world.responder.index.session_count(), 1, "{change:?}");
        for request in [heartbeat(), samples::login(6_000), publish("b"), samples::search("", None)] {
            assert_eq!(refusal(&mut world, &mut alice, request), NOT_ENROLLED, "{change:?}");
        }
        assert_eq!(refusal(&mut world, &mut bob, heartbeat()), None, "others go on");
        let mut again = world.shake_hands(alice.address, &secret(1)).unwrap();
        assert_eq!(refusal(&mut world, &mut again, samples::login(6_000)), NOT_ENROLLED, "{change:?}");
    }
}

/// BT-6.2-9: of a member's devices, the others go on.
#[test]
fn the_other_devices_of_a_member_go_on_when_one_is_revoked() {
    let mut world = Server::new();
    let (mut lost, mut kept) = (world.log_in("alice", 1, ALICE), world.log_in("alice", 2, BOB));
    world.responder.apply(&Change::DeviceRevoked(lost.key));
    assert_eq!(refusal(&mut world, &mut lost, heartbeat()), NOT_ENROLLED);
    assert_eq!(refusal(&mut world, &mut kept, heartbeat()), None);
}

/// BT-6.2-9, BT-6.2-8: a member who is enabled again has the same devices, which log in.
#[test]
fn a_member_who_is_enabled_again_logs_in_with_the_same_device() {
    let mut world = Server::new();
    let mut alice = world.log_in("alice", 1, ALICE);
    world.ask(&mut alice, publish("a"));
    world.responder.apply(&Change::MemberDisabled(samples::member("alice")));
    world.responder.apply(&Change::MemberEnabled(samples::member("alice")));
    assert_eq!(refusal(&mut world, &mut alice, heartbeat()), Some(RefusalCode::NO_SESSION));
    assert_eq!(refusal(&mut world, &mut alice, samples::login(6_000)), None);
    let Some(Reply::Files(files)) = world.ask(&mut alice, Request::ListFiles(ListFiles { after: None }))
    else {
        panic!()
    };
    assert_eq!(
        files.files[..],
        [samples::own_file("a", Some(1), 0)],
        "what was published is still the member's"
    );
}

/// BT-2.11-4: its session was the other member's.
#[test]
fn a_device_that_becomes_another_members_has_no_session_until_it_logs_in() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    world.ask(&mut device, publish("a"));
    world.responder.apply(&Change::DeviceRevoked(device.key));
    world.enrol("bob", device.key);
    assert_eq!(refusal(&mut world, &mut device, heartbeat()), Some(RefusalCode::NO_SESSION));
    assert_eq!(refusal(&mut world, &mut device, samples::login(6_000)), None);
    assert_eq!(found(&mut world, &mut device, "a"), (1, 0), "alice's publication is found by bob");
}

/// BT-2.11-1: enrolled once more, nothing is lost.
#[test]
fn a_device_without_a_member_and_one_of_another_are_told_apart() {
    let mut world = Server::new();
    let mut alice = world.log_in("alice", 1, ALICE);
    let mut stranger = world.shake_hands(BOB.parse().unwrap(), &secret(9)).unwrap();
    let reply = world.ask(&mut stranger, samples::login(6_000));
    assert!(is_refused(reply.as_ref(), RefusalCode::NOT_ENROLLED));
    assert_eq!(refusal(&mut world, &mut alice, heartbeat()), None);
}
