//! Strangers: connections that haven't shown who they are. They are few, and the oldest goes first (BT-5.4-3).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All strangers of a file server. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers(Arc<Mutex<State>>);

/// One stranger, until it is dropped: it has shown who it is then, or is gone.
#[derive(Debug)]
pub(super) struct Stranger {
    strangers: Strangers,
    number: u64,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// By the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    network: IpAddr,
    leave: CancellationToken,
}

/// Strangers in all.
const STRANGERS_MAX: usize = 64;

/// Strangers of one network.
const STRANGERS_OF_NETWORK_MAX: usize = 8;

impl Strangers {
    /// Takes one more in. Where there are too many of its network, the oldest of these goes; where there are too many in
    /// all, the oldest of the network that has the most. The token is cancelled when it is this one's turn to go.
    pub(super) fn add(&self, from: IpAddr) -> (Stranger, CancellationToken) {
        let network = network(from);
        let mut state = self.state();
        if state.of(network) >= STRANGERS_OF_NETWORK_MAX {
            state.send_away(network);
        } else if state.waiting.len() >= STRANGERS_MAX {
            let largest = state.largest_network();
            largest.into_iter().for_each(|network| state.send_away(network));
        }
        let (number, leave) = (state.next, CancellationToken::new());
        state.next += 1;
        state.waiting.insert(number, Waiting { network, leave: leave.clone() });
        drop(state);
        (Stranger { strangers: self.clone(), number }, leave)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&self, network: IpAddr) -> usize {
        self.waiting.values().filter(|waiting| waiting.network == network).count()
    }

    /// The network that has the most; of several the one whose oldest has waited longest.
    fn largest_network(&self) -> Option<IpAddr> {
        let oldest_last = self.waiting.values().rev().map(|waiting| waiting.network);
        oldest_last.max_by_key(|network| self.of(*network))
    }

    /// The oldest of a network goes.
    fn send_away(&mut self, network: IpAddr) {
        let oldest = self.waiting.iter().find(|(_, waiting)| waiting.network == network);
        let Some(number) = oldest.map(|(number, _)| *number) else { return };
        if let Some(waiting) = self.waiting.remove(&number) {
            waiting.leave.cancel();
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.state().waiting.remove(&self.number);
    }
}

/// What one attacker has many of: an IPv4 address stands for itself, an IPv6 address for its /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(network: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, network])
    }

    /// BT-5.4-3
    #[test]
    fn the_oldest_of_the_network_that_has_the_most_goes_first() {
        let strangers = Strangers::default();
        let mut kept = Vec::new();
        let mut add = |network| {
            let (stranger, leave) = strangers.add(address(network));
            kept.push(stranger);
            leave
        };
        let honest = add(100);
        let flood: Vec<_> = (0..64).map(|number| add(number / 8)).collect();
        assert!(!honest.is_cancelled(), "who is alone in its network stays");
        assert_eq!(flood.iter().filter(|leave| leave.is_cancelled()).count(), 1);
        assert!(flood[0].is_cancelled(), "the oldest of those that have the most");
        let more: Vec<_> = (0..100).map(|_| add(7)).collect();
        assert_eq!(more.iter().filter(|leave| !leave.is_cancelled()).count(), STRANGERS_OF_NETWORK_MAX);
        assert!(!honest.is_cancelled() && !flood[8].is_cancelled(), "a network sends its own away");
        assert_eq!(strangers.state().waiting.len(), STRANGERS_MAX);
        drop(kept);
        assert!(strangers.state().waiting.is_empty());
    }

    #[test]
    fn an_ipv6_attacker_has_one_network_however_many_addresses() {
        let strangers = Strangers::default();
        let at = |number: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, number]);
        let all: Vec<_> = (0..20).map(|number| strangers.add(at(number))).collect();
        assert_eq!(
            all.iter().filter(|(_, leave)| leave.is_cancelled()).count(),
            20 - STRANGERS_OF_NETWORK_MAX
        );
    }
}
