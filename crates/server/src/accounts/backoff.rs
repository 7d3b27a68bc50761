//! Against guessing: after some wrong passwords the next attempt has to wait.
//!
//! An address waits after [`ADDRESS_FREE_FAILURES`] failures, longer with each further one. A member, over all addresses,
//! is checked at a slow pace after [`MEMBER_FREE_FAILURES`]: slow enough for the guesser, and still no way to lock a member
//! out for good. Attempts that are being checked count like failures, so that many at once are no way around.
//!
//! Pure: the time comes in as `now`.
#![deny(clippy::disallowed_methods)]

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use bittrickle_wire::MemberName;

/// Failures from one address before it has to wait.
const ADDRESS_FREE_FAILURES: u32 = 5;

/// The first wait of an address. Each further failure doubles it.
const ADDRESS_WAIT_MIN: Duration = Duration::from_secs(1);

/// The longest wait of an address.
const ADDRESS_WAIT_MAX: Duration = Duration::from_secs(60);

/// Failures for one member, from all addresses, before attempts are checked at [`MEMBER_PACE`] only.
const MEMBER_FREE_FAILURES: u32 = 10;

/// The pace at which such a member's attempts are checked.
const MEMBER_PACE: Duration = Duration::from_secs(2);

/// Failures are forgotten so long after the last one.
const MEMORY: Duration = Duration::from_secs(10 * 60);

/// Most addresses that are remembered. While there are as many, others wait.
const ADDRESSES_MAX: usize = 65_536;

/// Entries that all names of no member share. More than one, so that being slowed down doesn't tell who is a member.
const UNKNOWN_NAMES: u64 = 4_096;

/// How often the tables are cleared of what is to be forgotten, at most and, when a table is full, at least.
const CLEAR_PERIOD: Duration = Duration::from_secs(60);
const CLEAR_PERIOD_FULL: Duration = Duration::from_secs(1);

/// Who has failed how often.
#[derive(Debug)]
pub(super) struct BackOff {
    addresses: HashMap<IpAddr, Failures>,
    members: HashMap<Target, Failures>,
    hasher: RandomState,
    cleared_at: Option<Instant>,
}

/// Whose password an attempt is at.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Target {
    /// A member's.
    Member(MemberName),
    /// Nobody's: one of [`UNKNOWN_NAMES`] entries.
    Unknown(u64),
}

/// An attempt that is being checked.
#[derive(Debug)]
pub(super) struct Attempt {
    address: IpAddr,
    target: Target,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The password was right.
    Right,
    /// It was wrong.
    Wrong,
    /// It couldn't be checked.
    Unknown,
}

#[derive(Debug, Default)]
struct Failures {
    failures: u32,
    checking: u32,
    failed_at: Option<Instant>,
    /// When the last attempt was let through.
    begun_at: Option<Instant>,
}

impl BackOff {
    pub(super) fn new() -> Self {
        let (addresses, members) = Default::default();
        Self { addresses, members, hasher: RandomState::new(), cleared_at: None }
    }

    /// Whose password this is. `is_member` tells whether there is a member of this name.
    pub(super) fn target(&self, name: &MemberName, is_member: bool) -> Target {
        if is_member {
            Target::Member(name.clone())
        } else {
            Target::Unknown(self.hasher.hash_one(name) % UNKNOWN_NAMES)
        }
    }

    /// Lets an attempt through, or tells how long to wait. An attempt that has to wait leaves no trace.
    ///
    /// # Errors
    /// The time to wait.
    pub(super) fn begin(&mut self, now: Instant, from: IpAddr, target: Target) -> Result<Attempt, Duration> {
        let address = network_of(from);
        self.clear(now);
        if !self.addresses.contains_key(&address) && self.addresses.len() >= ADDRESSES_MAX {
            return Err(ADDRESS_WAIT_MAX);
        }
        let wait = |entry: Option<&Failures>, wait: fn(&Failures, Instant) -> Duration| {
            entry.filter(|entry| !entry.is_forgotten(now)).map_or(Duration::ZERO, |entry| wait(entry, now))
        };
        let address_wait = wait(self.addresses.get(&address), Failures::address_wait);
        let member_wait = wait(self.members.get(&target), Failures::member_wait);
        let wait = address_wait.max(member_wait);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.addresses.entry(address).or_default().begin(now);
        self.members.entry(target.clone()).or_default().begin(now);
        Ok(Attempt { address, target })
    }

    /// Takes in how an attempt ended. A right password clears its address, but not its member: that would give
    /// whoever guesses from elsewhere a new start.
    pub(super) fn end(&mut self, now: Instant, attempt: &Attempt, outcome: Outcome) {
        if let Some(entry) = self.addresses.get_mut(&attempt.address) {
            entry.end(now, outcome);
            if outcome == Outcome::Right {
                entry.failures = 0;
            }
            if entry.is_empty() {
                self.addresses.remove(&attempt.address);
            }
        }
        if let Some(entry) = self.members.get_mut(&attempt.target) {
            entry.end(now, outcome);
            if entry.is_empty() {
                self.members.remove(&attempt.target);
            }
        }
    }

    fn clear(&mut self, now: Instant) {
        let period = if self.addresses.len() < ADDRESSES_MAX { CLEAR_PERIOD } else { CLEAR_PERIOD_FULL };
        if self.cleared_at.is_some_and(|cleared_at| now < cleared_at + period) {
            return;
        }
        self.cleared_at = Some(now);
        self.addresses.retain(|_, entry| !entry.is_forgotten(now));
        self.members.retain(|_, entry| !entry.is_forgotten(now));
    }
}

impl Failures {
    fn begin(&mut self, now: Instant) {
        if self.is_forgotten(now) {
            self.failures = 0;
        }
        self.checking += 1;
        self.begun_at = Some(now);
    }

    fn end(&mut self, now: Instant, outcome: Outcome) {
        self.checking = self.checking.saturating_sub(1);
        if outcome == Outcome::Wrong {
            self.failures = self.failures.saturating_add(1);
            self.failed_at = Some(now);
        }
    }

    fn is_empty(&self) -> bool {
        self.failures == 0 && self.checking == 0
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        self.checking == 0 && self.failed_at.is_none_or(|failed_at| now >= failed_at + MEMORY)
    }

    fn address_wait(&self, now: Instant) -> Duration {
        let Some(doublings) = (self.failures + self.checking).checked_sub(ADDRESS_FREE_FAILURES) else {
            return Duration::ZERO;
        };
        let wait = ADDRESS_WAIT_MIN.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
        let wait = wait.min(ADDRESS_WAIT_MAX);
        if self.checking > 0 {
            return wait;
        }
        self.failed_at.map_or(Duration::ZERO, |failed_at| (failed_at + wait).saturating_duration_since(now))
    }

    fn member_wait(&self, now: Instant) -> Duration {
        if self.failures + self.checking < MEMBER_FREE_FAILURES {
            return Duration::ZERO;
        }
        self.begun_at
            .map_or(Duration::ZERO, |begun_at| (begun_at + MEMBER_PACE).saturating_duration_since(now))
    }
}

/// Whose address it is: an IPv4 address, or the /64 network that one IPv6 customer has.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guesser with an invented clock.
    struct Scene {
        backoff: BackOff,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            #[expect(clippy::disallowed_methods, reason = "any instant will do")]
            let now = Instant::now();
            Self { backoff: BackOff::new(), now }
        }

        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn begin(&mut self, from: &str, name: &str) -> Result<Attempt, u64> {
            let target = Target::Member(MemberName::new(name).unwrap());
            self.backoff.begin(self.now, from.parse().unwrap(), target).map_err(|wait| wait.as_secs())
        }

        fn attempt(&mut self, from: &str, name: &str, outcome: Outcome) -> Result<(), u64> {
            let attempt = self.begin(from, name)?;
            self.backoff.end(self.now, &attempt, outcome);
            Ok(())
        }

        fn fail(&mut self, from: &str, name: &str) -> Result<(), u64> {
            self.attempt(from, name, Outcome::Wrong)
        }
    }

    #[test]
    fn an_address_waits_longer_with_each_failure_after_the_fifth() {
        let mut scene = Scene::new();
        // Each at another member, so that only the address counts.
        for n in 0..5 {
            assert_eq!(scene.fail("192.0.2.1", &format!("m{n}")), Ok(()));
        }
        for (n, wait) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            let name = format!("n{n}");
            assert_eq!(scene.fail("192.0.2.1", &name), Err(wait));
            scene.wait(wait - 1);
            assert_eq!(scene.fail("192.0.2.1", &name), Err(1), "an attempt that waits doesn't count");
            scene.wait(1);
            assert_eq!(scene.fail("192.0.2.1", &name), Ok(()));
        }
        assert_eq!(scene.fail("192.0.2.2", "m0"), Ok(()), "others don't wait");
    }

    #[test]
    fn a_success_clears_the_address_and_ten_quiet_minutes_do() {
        let mut scene = Scene::new();
        for _ in 0..2 {
            for n in 0..5 {
                assert_eq!(scene.fail("192.0.2.1", &format!("m{n}")), Ok(()));
            }
            scene.wait(1);
            assert_eq!(scene.attempt("192.0.2.1", "other", Outcome::Right), Ok(()));
        }
        for n in 5..10 {
            assert_eq!(scene.fail("192.0.2.1", &format!("m{n}")), Ok(()));
        }
        assert_eq!(scene.fail("192.0.2.1", "m11"), Err(1));
        scene.wait(600);
        for n in 0..5 {
            assert_eq!(scene.fail("192.0.2.1", &format!("q{n}")), Ok(()), "failure {n}");
        }
    }

    #[test]
    fn attempts_at_once_count_like_failures_until_they_end() {
        let mut scene = Scene::new();
        let checking: Vec<_> = (0..5).map(|n| scene.begin("192.0.2.1", &format!("m{n}")).unwrap()).collect();
        assert_eq!(scene.begin("192.0.2.1", "m5").unwrap_err(), 1);
        for attempt in &checking {
            scene.backoff.end(scene.now, attempt, Outcome::Right);
        }
        assert_eq!(scene.attempt("192.0.2.1", "m5", Outcome::Right), Ok(()));
        assert!(scene.backoff.addresses.is_empty() && scene.backoff.members.is_empty());
    }

    #[test]
    fn a_member_is_checked_slowly_after_ten_failures_but_never_locked_out() {
        let mut scene = Scene::new();
        for n in 0..10 {
            assert_eq!(scene.fail(&format!("192.0.2.{n}"), "alice"), Ok(()));
        }
        for n in 10..200 {
            assert_eq!(scene.fail(&format!("192.0.2.{n}"), "alice"), Err(2));
            scene.wait(2);
            assert_eq!(scene.fail(&format!("192.0.2.{n}"), "alice"), Ok(()));
        }
        assert_eq!(scene.fail("198.51.100.1", "bob"), Ok(()), "other members are not slowed down");
        scene.wait(2);
        assert_eq!(scene.attempt("198.51.100.1", "alice", Outcome::Right), Ok(()));
        assert_eq!(scene.fail("198.51.100.2", "alice"), Err(2), "a success is no new start for guessing");
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let mut scene = Scene::new();
        for n in 0..5 {
            assert_eq!(scene.fail(&format!("2001:db8::{n}"), &format!("m{n}")), Ok(()));
        }
        assert_eq!(scene.fail("2001:db8::ffff:1", "m6"), Err(1));
        assert_eq!(scene.fail("2001:db8:0:1::1", "m6"), Ok(()));
        assert_eq!(network_of("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_full_table_refuses_new_addresses_until_old_ones_are_forgotten() {
        let mut scene = Scene::new();
        for n in 0..ADDRESSES_MAX {
            let [_, a, b, c] = u32::try_from(n).unwrap().to_be_bytes();
            assert_eq!(scene.fail(&format!("10.{a}.{b}.{c}"), &format!("m{n}")), Ok(()));
        }
        assert_eq!(scene.attempt("192.0.2.1", "alice", Outcome::Right), Err(60));
        assert_eq!(scene.attempt("10.0.0.1", "alice", Outcome::Right), Ok(()), "known ones are served");
        assert_eq!(scene.attempt("192.0.2.1", "alice", Outcome::Right), Ok(()), "which made room");
        assert_eq!(scene.fail("192.0.2.1", "alice"), Ok(()));
        assert_eq!(scene.fail("192.0.2.2", "alice"), Err(60));
        scene.wait(600);
        assert_eq!(scene.fail("192.0.2.2", "alice"), Ok(()));
        assert_eq!(scene.backoff.addresses.len(), 1);
    }

    #[test]
    fn what_could_not_be_checked_is_no_failure() {
        let mut scene = Scene::new();
        for _ in 0..30 {
            assert_eq!(scene.attempt("192.0.2.1", "alice", Outcome::Unknown), Ok(()));
        }
        assert!(scene.backoff.addresses.is_empty());
    }

    #[test]
    fn names_of_no_member_share_a_bounded_number_of_entries() {
        let backoff = BackOff::new();
        for n in 0..10_000 {
            let name = MemberName::new(&format!("n{n}")).unwrap();
            assert!(matches!(backoff.target(&name, false), Target::Unknown(n) if n < UNKNOWN_NAMES));
        }
    }
}
