use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::control::NewMember;
use crate::data_dir::DataDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// Accounts with two members, and the reader of their notices.
struct Scene {
    accounts: Accounts,
    notices: mpsc::Receiver<Notice>,
    folder: TempDir,
}

fn name(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

fn device(byte: u8) -> PublicKey {
    PublicKey::from_bytes([byte; 32])
}

fn hash(password: &str) -> PasswordHash {
    PasswordHash::of(&Password::new(password).unwrap()).unwrap()
}

fn open(folder: &Path) -> Store {
    Store::open(Arc::new(DataDir::open(&folder.join("data"), PATIENCE).unwrap())).unwrap()
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        store.import(vec![(name("alice"), hash("wonderland")), (name("bob"), hash("builder"))], 7).unwrap();
        let (accounts, notices) = Accounts::start(store).unwrap();
        Self { accounts, notices, folder }
    }

    fn check(&self, id: u64, member: &str, password: &str, purpose: Purpose) -> Result<(), QueueFull> {
        // Each from an address of its own, so that none has to wait.
        let from = IpAddr::from([10, 0, 0, u8::try_from(id).unwrap()]);
        let (member, password) = (name(member), Password::new(password).unwrap());
        self.accounts.check(Check { id: CheckId(id), member, password, from, purpose })
    }

    async fn notice(&mut self) -> Notice {
        tokio::time::timeout(PATIENCE, self.notices.recv()).await.unwrap().unwrap()
    }

    async fn verdict(&mut self) -> Verdict {
        match self.notice().await {
            Notice::Checked { verdict, .. } => verdict,
            changed @ Notice::Changed { .. } => panic!("{changed:?}"),
        }
    }

    async fn change(&mut self) -> Change {
        match self.notice().await {
            Notice::Changed { change, .. } => change,
            checked @ Notice::Checked { .. } => panic!("{checked:?}"),
        }
    }

    async fn verdict_on(&mut self, id: u64, member: &str, password: &str, purpose: Purpose) -> Verdict {
        self.check(id, member, password, purpose).unwrap();
        self.verdict().await
    }

    /// Carries out a command as the UDP loop lets it be done.
    async fn execute(&mut self, command: Command) -> Answer {
        let accounts = self.accounts.clone();
        let executing = tokio::spawn(async move { accounts.execute(command).await });
        if let Notice::Changed { applied, .. } = self.notice().await {
            applied.send(()).unwrap();
        }
        executing.await.unwrap()
    }
}

#[tokio::test]
async fn a_right_password_enrols_a_device_durably_before_the_verdict() {
    let mut scene = Scene::new();
    scene.check(1, "alice", "wonderland", Purpose::Enrol(device(1))).unwrap();
    let added = Change::DeviceAdded { device: device(1), member: name("alice") };
    assert_eq!(scene.change().await, added);
    assert_eq!(scene.verdict().await, Verdict::Right);

    let again = scene.verdict_on(2, "alice", "wonderland", Purpose::Enrol(device(1))).await;
    assert_eq!(again, Verdict::Right, "it is enrolled already");

    scene.check(3, "bob", "builder", Purpose::Enrol(device(1))).unwrap();
    assert_eq!(scene.change().await, Change::DeviceRevoked(device(1)));
    assert_eq!(scene.change().await, Change::DeviceAdded { device: device(1), member: name("bob") });
    assert_eq!(scene.verdict().await, Verdict::Right);

    let Scene { accounts, notices, folder } = scene;
    drop((accounts, notices));
    let directory = open(folder.path()).directory().unwrap();
    assert_eq!(directory.member_of(&device(1)).as_deref(), Some(&name("bob")));
}

#[tokio::test]
async fn wrong_passwords_strangers_and_disabled_members_are_all_the_same() {
    let mut scene = Scene::new();
    assert_eq!(scene.execute(Command::DisableMember(name("bob"))).await, Answer::Done);
    for (id, member, password) in [(1, "alice", "builder"), (2, "eve", "x"), (3, "bob", "builder")] {
        for purpose in [Purpose::Legacy, Purpose::Enrol(device(9))] {
            assert_eq!(scene.verdict_on(id, member, password, purpose).await, Verdict::Wrong, "{member}");
        }
    }
    assert_eq!(scene.verdict_on(4, "alice", "wonderland", Purpose::Legacy).await, Verdict::Right);
    assert_eq!(scene.execute(Command::EnableMember(name("bob"))).await, Answer::Done);
    assert_eq!(scene.verdict_on(5, "bob", "builder", Purpose::Legacy).await, Verdict::Right);
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_is_not_looked_at_meanwhile() {
    let mut scene = Scene::new();
    for _ in 0..5 {
        assert_eq!(scene.verdict_on(1, "alice", "wrong", Purpose::Legacy).await, Verdict::Wrong);
    }
    let verdict = scene.verdict_on(1, "bob", "builder", Purpose::Legacy).await;
    assert!(matches!(verdict, Verdict::TryAgain { after } if after <= Duration::from_secs(1)), "{verdict:?}");
    assert_eq!(scene.verdict_on(2, "alice", "wonderland", Purpose::Legacy).await, Verdict::Right);
}

#[tokio::test]
async fn a_member_with_as_many_devices_as_allowed_is_told_so() {
    let mut scene = Scene::new();
    for number in 0..16 {
        scene.check(u64::from(number), "alice", "wonderland", Purpose::Enrol(device(number))).unwrap();
        scene.change().await;
        assert_eq!(scene.verdict().await, Verdict::Right);
    }
    let verdict = scene.verdict_on(17, "alice", "wonderland", Purpose::Enrol(device(17))).await;
    assert_eq!(verdict, Verdict::TooManyDevices);
}

#[tokio::test]
async fn the_queue_is_bounded_and_every_check_in_it_is_answered() {
    let mut scene = Scene::new();
    let mut taken = 0;
    let full = loop {
        // Each member's attempts would have to wait for each other: these are strangers.
        match scene.check(taken, &format!("n{taken}"), "x", Purpose::Legacy) {
            Ok(()) => taken += 1,
            Err(full) => break full,
        }
        assert!(taken < 200, "hashing takes longer than asking");
    };
    assert!(full.to_string().contains("64"));
    for _ in 0..taken {
        assert_eq!(scene.verdict().await, Verdict::Wrong);
    }
    assert_eq!(scene.verdict_on(250, "alice", "wonderland", Purpose::Legacy).await, Verdict::Right);
}

#[tokio::test]
async fn a_command_is_answered_when_the_loop_has_taken_it_in() {
    let mut scene = Scene::new();
    let member = NewMember { member: name("carol"), password: hash("singer") };
    let accounts = scene.accounts.clone();
    let adding = tokio::spawn(async move { accounts.execute(Command::AddMember(member)).await });
    let Notice::Changed { change, applied } = scene.notice().await else { panic!("a change comes first") };
    assert_eq!(change, Change::MemberAdded(name("carol")));
    assert!(!adding.is_finished());
    applied.send(()).unwrap();
    assert_eq!(adding.await.unwrap(), Answer::Done);
    let unknown = scene.accounts.execute(Command::RemoveMember(name("eve"))).await;
    assert_eq!(unknown, Answer::Refused(Refusal::NoMember));
}

#[tokio::test]
async fn a_command_whose_change_nobody_takes_in_says_so() {
    let mut scene = Scene::new();
    let accounts = scene.accounts.clone();
    let removing = tokio::spawn(async move { accounts.execute(Command::RemoveMember(name("bob"))).await });
    drop(scene.notice().await);
    assert_eq!(removing.await.unwrap(), Answer::Refused(Refusal::NotApplied));
}

#[tokio::test]
async fn a_password_changed_while_the_old_one_is_checked_makes_that_one_wrong() {
    let mut scene = Scene::new();
    scene.check(1, "alice", "wonderland", Purpose::Legacy).unwrap();
    let member = NewMember { member: name("alice"), password: hash("looking-glass") };
    let answer = scene.accounts.execute(Command::SetPassword(member)).await;
    assert_eq!(answer, Answer::Done);
    // The check may have been quicker than the change.
    scene.verdict().await;
    assert_eq!(scene.verdict_on(2, "alice", "wonderland", Purpose::Legacy).await, Verdict::Wrong);
    assert_eq!(scene.verdict_on(3, "alice", "looking-glass", Purpose::Legacy).await, Verdict::Right);
}

#[test]
fn the_store_is_closed_when_the_last_handle_goes_even_if_nobody_reads_notices() {
    let scene = Scene::new();
    for id in 0..10 {
        scene.check(id, "alice", "wonderland", Purpose::Legacy).unwrap();
    }
    let other = scene.accounts.clone();
    drop(scene.accounts);
    drop(other);
    open(scene.folder.path());
    drop(scene.notices);
}
