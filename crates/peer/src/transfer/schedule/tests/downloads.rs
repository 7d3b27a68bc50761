//! Whole downloads in a [`Network`].

use super::network::{Manner, Network};

const SEEDS: u64 = 8;

#[test]
fn eight_who_fetch_at_once_take_less_than_twice_as_long_as_one() {
    for seed in 0..SEEDS {
        for poll_ticks in [1, 5, 10, 20] {
            let mut network = Network::new(800, poll_ticks);
            network.add_source(10, Manner::Honest);
            for taker in 0..8 {
                network.add_taker(10, 8 * seed + taker);
            }
            // One copy takes 80 ticks. They take 90 to 120.
            let ticks = network.run(1_000);
            assert!(ticks < 130, "{ticks} ticks, seed {seed}, seen every {poll_ticks} ticks");
        }
    }
}

#[test]
fn sources_of_different_speed_are_all_used() {
    for seed in 0..SEEDS {
        let mut network = Network::new(700, 10);
        for units_per_tick in [1, 2, 4] {
            network.add_source(units_per_tick, Manner::Honest);
        }
        network.add_taker(0, seed);
        let ticks = network.run(1_000);
        assert!(ticks < 110, "{ticks} ticks, 100 are ideal, seed {seed}");
        assert!(network.superfluous() < 10, "{} pieces came twice", network.superfluous());
    }
}

/// Two sources that send 5 pieces a tick each: 30 ticks if both are good.
#[test]
fn a_source_that_fails_costs_little_more_than_what_it_would_have_sent() {
    for (manner, ticks_max) in [(Manner::Lies, 45), (Manner::StallsAt(10), 55), (Manner::VanishesAt(10), 52)]
    {
        for seed in 0..SEEDS {
            let mut network = Network::new(300, 10);
            network.add_source(5, manner);
            network.add_source(5, Manner::Honest);
            network.add_taker(0, seed);
            let ticks = network.run(1_000);
            assert!(ticks <= ticks_max, "{manner:?}: {ticks} ticks, seed {seed}");
        }
    }
}

/// A stalled source holds back what it was asked for only until the others have nothing else to do.
#[test]
fn a_swarm_does_not_wait_for_a_member_that_stalls() {
    for seed in 0..SEEDS {
        let mut network = Network::new(400, 5);
        network.add_source(10, Manner::StallsAt(3));
        network.add_source(10, Manner::Honest);
        for taker in 0..4 {
            network.add_taker(10, 4 * seed + taker);
        }
        let ticks = network.run(1_000);
        assert!(ticks < 90, "{ticks} ticks, seed {seed}");
    }
}
