use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use bittrickle_wire::Password;
use tempfile::TempDir;

use super::*;
use crate::accounts::PasswordHash;

/// One hash for all tests: making one takes its time.
static HASH: LazyLock<PasswordHash> =
    LazyLock::new(|| PasswordHash::of(&Password::new("wonderland").unwrap()).unwrap());

fn name(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

fn device(number: u16) -> PublicKey {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    PublicKey::from_bytes(bytes)
}

fn open(folder: &Path) -> Result<Store, StoreError> {
    Store::open(Arc::new(DataDir::open(&folder.join("data"), Duration::ZERO).unwrap()))
}

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    (folder, store)
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("data/members.redb")
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let (folder, store) = store();
    for member in ["alice", "bob", "carol"] {
        let added = store.add_member(name(member), HASH.clone(), 7).unwrap();
        assert_eq!(added, [Change::MemberAdded(name(member))]);
    }
    store.add_device(device(1), &name("alice"), 8).unwrap();
    store.add_device(device(2), &name("bob"), 9).unwrap();
    store.set_disabled(&name("bob"), true).unwrap();
    store.remove_member(&name("carol")).unwrap();
    drop(store);

    let store = open(folder.path()).unwrap();
    let directory = store.directory().unwrap();
    assert_eq!((directory.member_count(), directory.device_count()), (2, 2));
    assert_eq!(directory.member_of(&device(1)).as_deref(), Some(&name("alice")));
    assert_eq!(directory.member_of(&device(2)), None, "bob is disabled");
    assert_eq!(store.member(&name("alice")).unwrap().unwrap().password, *HASH);
}

#[test]
fn a_copy_taken_while_the_store_is_open_is_what_a_crash_leaves_and_has_everything() {
    let (folder, store) = store();
    for number in 0..40 {
        store.add_member(name(&format!("m{number}")), HASH.clone(), 7).unwrap();
        let crashed = tempfile::tempdir().unwrap();
        bittrickle_secret::create_folder(&crashed.path().join("data")).unwrap();
        fs::copy(file(&folder), file(&crashed)).unwrap();
        assert_eq!(open(crashed.path()).unwrap().directory().unwrap().member_count(), number + 1);
    }
}

#[test]
fn a_store_that_others_may_read_is_refused_with_what_to_do() {
    let (folder, store) = store();
    assert_eq!(fs::metadata(file(&folder)).unwrap().mode() & 0o777, 0o600);
    drop(store);
    fs::set_permissions(file(&folder), fs::Permissions::from_mode(0o640)).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(error.is_permission() && error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_damaged_store_is_reported_and_left_as_it_is() {
    let (folder, store) = store();
    store.add_member(name("alice"), HASH.clone(), 7).unwrap();
    drop(store);
    let good = fs::read(file(&folder)).unwrap();
    let cut = |bytes: usize| good[..bytes].to_vec();
    let noise = |from: usize, to: usize| {
        let mut bytes = good.clone();
        bytes[from..to].iter_mut().for_each(|byte| *byte ^= 0x5a);
        bytes
    };
    let cases = [
        ("empty", Vec::new()),
        ("text", b"alice wonderland\n".to_vec()),
        ("cut", cut(4_096)),
        ("without a magic number", noise(0, 9)),
        ("without a header", noise(64, 320)),
        ("zeros", vec![0; good.len()]),
    ];
    for (what, bytes) in cases {
        fs::write(file(&folder), &bytes).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains("backup"), "{what}: {error}");
        assert!(fs::read(file(&folder)).unwrap() == bytes, "{what}: it was changed");
    }
}

#[test]
fn damage_anywhere_is_never_a_panic_and_never_another_member() {
    let (folder, store) = store();
    store.add_member(name("alice"), HASH.clone(), 7).unwrap();
    store.add_device(device(1), &name("alice"), 8).unwrap();
    drop(store);
    let good = fs::read(file(&folder)).unwrap();
    for position in (0..good.len()).step_by(if good.len() > 200_000 { 9_973 } else { 509 }) {
        let mut bytes = good.clone();
        bytes[position] ^= 0xff;
        fs::write(file(&folder), &bytes).unwrap();
        let Ok(store) = open(folder.path()) else { continue };
        let Ok(directory) = store.directory() else { continue };
        assert!(directory.member_count() <= 1, "byte {position}");
        assert!(directory.member_of(&device(1)).is_none_or(|member| *member == name("alice")));
    }
}

#[test]
fn a_store_of_another_version_is_refused() {
    let (folder, store) = store();
    store
        .write(|transaction| {
            transaction.open_table(SCHEMA).unwrap().insert("version", 2).unwrap();
            Ok(())
        })
        .unwrap();
    drop(store);
    let error = open(folder.path()).unwrap_err();
    let is_version = matches!(error, StoreError::Damaged { reason: Damage::Version { found: Some(2) }, .. });
    assert!(is_version, "{error:?}");
}

#[test]
fn tables_that_contradict_each_other_are_reported() {
    let (_folder, store) = store();
    store.add_member(name("alice"), HASH.clone(), 7).unwrap();
    store.add_device(device(1), &name("alice"), 8).unwrap();
    store
        .write(|transaction| {
            transaction.open_table(MEMBERS).unwrap().remove("alice").unwrap();
            Ok(())
        })
        .unwrap();
    assert!(matches!(store.directory(), Err(StoreError::Damaged { reason: Damage::Contradiction, .. })));
}

#[test]
fn a_draft_that_a_crash_left_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    bittrickle_secret::create_folder(&folder.path().join("data")).unwrap();
    let draft = folder.path().join("data/members.redb.new");
    fs::write(&draft, "half").unwrap();
    assert_eq!(open(folder.path()).unwrap().directory().unwrap().member_count(), 0);
    assert!(!draft.exists());
}

#[test]
fn an_import_leaves_members_as_they_are() {
    let (_folder, store) = store();
    store.add_member(name("alice"), HASH.clone(), 7).unwrap();
    let other = PasswordHash::of(&Password::new("other").unwrap()).unwrap();
    let members = ["alice", "bob"].map(|member| (name(member), other.clone()));
    assert_eq!(store.missing(vec![name("alice"), name("bob")]).unwrap(), [name("bob")]);
    assert_eq!(store.import(members.to_vec(), 9).unwrap(), [Change::MemberAdded(name("bob"))]);
    let alice = store.member(&name("alice")).unwrap().unwrap();
    assert_eq!((alice.password, alice.created_unix_s), (HASH.clone(), 7));
    assert!(matches!(store.add_member(name("bob"), HASH.clone(), 9), Err(StoreError::MemberExists)));
}

#[test]
fn what_is_not_there_can_not_be_changed() {
    let (_folder, store) = store();
    let nobody = name("nobody");
    assert!(matches!(store.set_password(&nobody, HASH.clone()), Err(StoreError::NoMember)));
    assert!(matches!(store.set_disabled(&nobody, true), Err(StoreError::NoMember)));
    assert!(matches!(store.remove_member(&nobody), Err(StoreError::NoMember)));
    assert!(matches!(store.add_device(device(1), &nobody, 1), Err(StoreError::NoMember)));
    assert!(matches!(store.devices(Some(&nobody), None, 9), Err(StoreError::NoMember)));
    assert!(matches!(store.revoke_device(&device(1)), Err(StoreError::NoDevice)));
    assert_eq!(store.member(&nobody).unwrap(), None);
}

#[test]
fn a_member_has_at_most_so_many_devices() {
    let (_folder, store) = store();
    let (alice, bob) = (name("alice"), name("bob"));
    store.import(vec![(alice.clone(), HASH.clone()), (bob.clone(), HASH.clone())], 7).unwrap();
    let most = u16::try_from(DEVICES_PER_MEMBER_MAX).unwrap();
    for number in 0..most {
        store.add_device(device(number), &alice, 8).unwrap();
    }
    assert!(matches!(store.add_device(device(most), &alice, 8), Err(StoreError::TooManyDevices)));
    assert_eq!(store.add_device(device(0), &alice, 8).unwrap(), [], "it is one of them already");

    let moved = store.add_device(device(0), &bob, 9).unwrap();
    let added = Change::DeviceAdded { device: device(0), member: bob.clone() };
    assert_eq!(moved, [Change::DeviceRevoked(device(0)), added]);
    store.add_device(device(most), &alice, 9).unwrap();
    assert_eq!(store.directory().unwrap().devices_of(&bob).collect::<Vec<_>>(), [device(0)]);
    store.remove_member(&alice).unwrap();
    assert_eq!(store.directory().unwrap().device_count(), 1);
    assert_eq!(store.revoke_device(&device(0)).unwrap(), (bob, vec![Change::DeviceRevoked(device(0))]));
}

#[test]
fn lists_come_page_by_page() {
    let (_folder, store) = store();
    let members = (0..10).map(|number| (name(&format!("m{number}")), HASH.clone()));
    store.import(members.collect(), 7).unwrap();
    // A name that begins with another one's has devices of its own.
    store.add_member(name("m"), HASH.clone(), 7).unwrap();
    for number in 0..10 {
        store.add_device(device(number), &name(&format!("m{}", number % 3)), 8).unwrap();
    }
    let first = store.members(None, 4).unwrap();
    let names: Vec<_> = first.iter().map(|row| (row.member.as_str(), row.devices)).collect();
    assert_eq!(names, [("m", 0), ("m0", 4), ("m1", 3), ("m2", 3)]);
    assert_eq!(store.members(Some(&first[3].member), 99).unwrap().len(), 7);

    let all = store.devices(None, None, 99).unwrap();
    assert_eq!((all.len(), all[4].device, all[4].member.as_str()), (10, device(4), "m1"));
    assert_eq!(store.devices(None, Some(&device(7)), 99).unwrap().len(), 2);
    let own = store.devices(Some(&name("m0")), Some(&device(0)), 2).unwrap();
    assert_eq!(own.iter().map(|row| row.device).collect::<Vec<_>>(), [device(3), device(6)]);
}
