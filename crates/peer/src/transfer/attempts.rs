//! Attempts: which addresses may be connected to, and when (BT-3.5-5).
//!
//! The index names the addresses of sources. A hostile index could aim its peers at a victim; so an address that brings
//! nothing is left alone, whichever downloads it is named for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Connections that have been tried, by all downloads of a peer together.
#[derive(Clone, Debug)]
pub struct Attempts {
    is_index_here: bool,
    /// Addresses that have brought nothing.
    tried: HashMap<SocketAddr, Tried>,
    /// Addresses that have brought a piece, and so are sources.
    proved: HashMap<SocketAddr, BackOff>,
}

/// What was tried of one address that has brought nothing.
#[derive(Clone, Copy, Debug)]
struct Tried {
    first_at: Instant,
    connections: u32,
    back_off: BackOff,
}

/// When the next connection is due, and how long after the last one has failed.
#[derive(Clone, Copy, Debug)]
struct BackOff {
    next_at: Instant,
    wait: Duration,
}

/// Whether a connection may be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allowed {
    /// It may be made now.
    Now,
    /// Not yet: the last one has just failed.
    Later,
    /// Not before ten minutes are over, or never.
    No,
}

/// Connections to one address that bring no piece, in [`PERIOD`].
const CONNECTIONS_MAX: u32 = 3;

/// Ports of one IP address of which none has brought a piece, in [`PERIOD`].
const PORTS_MAX: usize = 16;

/// How long an attempt counts.
const PERIOD: Duration = Duration::from_secs(600);

/// How long after a failure the next connection is made; each further one after twice as long.
const WAIT_MIN: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Addresses that are remembered. While there are as many, no other one is connected to.
const ADDRESSES_MAX: usize = 4_096;

impl Attempts {
    /// Nothing was tried yet. `index` is where the index is: nobody else is told of sources on its own machine.
    #[must_use]
    pub fn new(index: IpAddr) -> Self {
        let (tried, proved) = Default::default();
        Self { is_index_here: index.to_canonical().is_loopback(), tried, proved }
    }

    /// Begins a connection, if one may be made now.
    pub fn begin(&mut self, now: Instant, address: SocketAddr) -> Allowed {
        let address = canonical(address);
        if address.ip().is_loopback() && !self.is_index_here {
            return Allowed::No;
        }
        if let Some(back_off) = self.proved.get(&address) {
            return back_off.allowed(now);
        }
        self.tried.retain(|_, tried| now.saturating_duration_since(tried.first_at) < PERIOD);
        let ports = self.tried.keys().filter(|other| other.ip() == address.ip()).count();
        let is_full = ports >= PORTS_MAX || self.tried.len() >= ADDRESSES_MAX;
        match self.tried.get_mut(&address) {
            None if is_full => Allowed::No,
            Some(tried) if tried.connections >= CONNECTIONS_MAX => Allowed::No,
            Some(tried) => {
                let allowed = tried.back_off.allowed(now);
                tried.connections += u32::from(allowed == Allowed::Now);
                allowed
            }
            None => {
                let back_off = BackOff::none(now);
                self.tried.insert(address, Tried { first_at: now, connections: 1, back_off });
                Allowed::Now
            }
        }
    }

    /// A connection to this address has brought a piece: none of those before counts, and none that follows.
    pub fn proved(&mut self, now: Instant, address: SocketAddr) {
        let address = canonical(address);
        self.tried.remove(&address);
        if self.proved.len() >= ADDRESSES_MAX {
            self.proved.clear();
        }
        self.proved.insert(address, BackOff::none(now));
    }

    /// A connection to this address was answered, by whoever has the key that the index named, though it brought no piece:
    /// it doesn't count.
    pub fn answered(&mut self, address: SocketAddr) {
        let address = canonical(address);
        if let Some(tried) = self.tried.get_mut(&address) {
            tried.connections = tried.connections.saturating_sub(1);
            if tried.connections == 0 && tried.back_off.wait.is_zero() {
                self.tried.remove(&address);
            }
        }
    }

    /// A connection to this address has ended early: the next one waits.
    pub fn failed(&mut self, now: Instant, address: SocketAddr) {
        let address = canonical(address);
        let tried = self.tried.get_mut(&address).map(|tried| &mut tried.back_off);
        if let Some(back_off) = tried.or_else(|| self.proved.get_mut(&address)) {
            back_off.wait = (back_off.wait * 2).clamp(WAIT_MIN, WAIT_MAX);
            back_off.next_at = now + back_off.wait;
        }
    }
}

impl BackOff {
    fn none(now: Instant) -> Self {
        Self { next_at: now, wait: Duration::ZERO }
    }

    fn allowed(self, now: Instant) -> Allowed {
        if now < self.next_at { Allowed::Later } else { Allowed::Now }
    }
}

/// The same address however it is written.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn any_instant() -> Instant {
        Instant::now()
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 7], port))
    }

    /// How many connections are made to these addresses, each as often as it is named.
    fn connections(
        attempts: &mut Attempts,
        now: Instant,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> usize {
        addresses.filter(|address| attempts.begin(now, *address) == Allowed::Now).count()
    }

    /// BT-3.5-5: however many downloads an address is named for.
    #[test]
    fn an_address_that_brings_nothing_is_tried_three_times_in_ten_minutes() {
        let (mut attempts, mut now) = (Attempts::new(INDEX), any_instant());
        for period in 0..3 {
            let begun = now;
            let mut made = 0;
            while now < begun + PERIOD {
                if attempts.begin(now, at(7_000)) == Allowed::Now {
                    made += 1;
                    attempts.failed(now, at(7_000));
                }
                now += Duration::from_millis(100);
            }
            assert_eq!(made, CONNECTIONS_MAX, "period {period}");
        }
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:7000".parse().unwrap();
        assert_eq!(connections(&mut attempts, now, std::iter::repeat_n(mapped, 9)), 3, "written otherwise");
    }

    /// BT-3.5-5
    #[test]
    fn of_one_machine_sixteen_ports_are_tried_and_those_that_brought_something_do_not_count() {
        let (mut attempts, now) = (Attempts::new(INDEX), any_instant());
        assert_eq!(connections(&mut attempts, now, (1_024..2_024).map(at)), PORTS_MAX);
        assert_eq!(attempts.begin(now, "192.0.2.8:7000".parse().unwrap()), Allowed::Now, "another machine");
        attempts.proved(now, at(1_024));
        assert_eq!(connections(&mut attempts, now, (5_000..6_000).map(at)), 1, "in the place of that one");
        attempts.failed(now, at(1_024));
        assert_eq!(
            connections(&mut attempts, now, (6_000..7_000).map(at)),
            0,
            "one that fails later takes none"
        );
        assert_eq!(connections(&mut attempts, now + PERIOD, (7_000..8_000).map(at)), PORTS_MAX);
    }

    /// BT-3.5-5
    #[test]
    fn what_is_on_this_machine_is_named_by_an_index_on_this_machine_only() {
        let now = any_instant();
        for here in ["127.0.0.1:7000", "127.9.9.9:7000", "[::1]:7000", "[::ffff:127.0.0.1]:7000"] {
            let here: SocketAddr = here.parse().unwrap();
            assert_eq!(Attempts::new(INDEX).begin(now, here), Allowed::No, "{here}");
            for index in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
                let mut attempts = Attempts::new(index.parse().unwrap());
                assert_eq!(attempts.begin(now, here), Allowed::Now, "{here} by {index}");
            }
        }
    }

    /// BT-3.5-4: a way that breaks again and again is taken again, later each time, as long as something comes through.
    #[test]
    fn after_a_failure_the_next_connection_waits_twice_as_long() {
        let (mut attempts, now) = (Attempts::new(INDEX), any_instant());
        let begin = |attempts: &mut Attempts, wait_ms| {
            attempts.begin(now + Duration::from_millis(wait_ms), at(7_000))
        };
        assert_eq!(begin(&mut attempts, 0), Allowed::Now);
        attempts.failed(now, at(7_000));
        assert_eq!([begin(&mut attempts, 499), begin(&mut attempts, 500)], [Allowed::Later, Allowed::Now]);
        attempts.failed(now, at(7_000));
        assert_eq!([begin(&mut attempts, 999), begin(&mut attempts, 1_000)], [Allowed::Later, Allowed::Now]);
        attempts.proved(now, at(7_000));
        for wait_ms in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            attempts.failed(now, at(7_000));
            let allowed = [begin(&mut attempts, wait_ms - 1), begin(&mut attempts, wait_ms)];
            assert_eq!(
                allowed,
                [Allowed::Later, Allowed::Now],
                "who has brought something is never given up"
            );
        }
    }

    /// BT-3.5-5: what was empty, or what others were quicker with, is no failure.
    #[test]
    fn a_connection_that_was_answered_does_not_count() {
        let (mut attempts, now) = (Attempts::new(INDEX), any_instant());
        for port in 1_024..2_024 {
            assert_eq!(attempts.begin(now, at(port)), Allowed::Now, "{port}");
            attempts.answered(at(port));
        }
    }

    #[test]
    fn no_index_makes_a_peer_remember_addresses_without_end() {
        let (mut attempts, now) = (Attempts::new(INDEX), any_instant());
        let address = |number: u32| SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + number), 7_000));
        assert_eq!(connections(&mut attempts, now, (0..10_000).map(address)), ADDRESSES_MAX);
    }
}
