//! Each counter is taken once (BT-6.5-4; RFC 6479's bitmap, as a ring).

/// Which of the last [`REPLAY_WINDOW`] counters have been seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReplayWindow {
    /// One more than the highest counter that was seen.
    next: u64,
    seen: [u64; WORDS],
}

/// How far behind the highest counter one may come that is still taken.
pub const REPLAY_WINDOW: u64 = 256;

const WORDS: usize = (REPLAY_WINDOW / 64) as usize;

impl ReplayWindow {
    /// Whether this counter may still be taken.
    #[must_use]
    pub fn is_fresh(&self, counter: u64) -> bool {
        if counter >= self.next {
            return true;
        }
        let (word, bit) = place(counter);
        self.next - counter <= REPLAY_WINDOW && self.seen[word] & bit == 0
    }

    /// Takes a fresh counter, once its frame has proved to be authentic. Says whether it is the highest so far.
    pub fn take(&mut self, counter: u64) -> bool {
        let is_highest = counter >= self.next;
        if is_highest {
            let skipped = (counter - self.next + 1).min(REPLAY_WINDOW);
            for forgotten in counter + 1 - skipped..=counter {
                let (word, bit) = place(forgotten);
                self.seen[word] &= !bit;
            }
            self.next = counter + 1;
        }
        let (word, bit) = place(counter);
        self.seen[word] |= bit;
        is_highest
    }
}

fn place(counter: u64) -> (usize, u64) {
    let slot = counter % REPLAY_WINDOW;
    ((slot / 64) as usize, 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_window_agrees_with_a_set_of_all_that_was_seen() {
        let (mut window, mut seen) = (ReplayWindow::default(), BTreeSet::new());
        let mut state = 7_u64;
        for round in 0..200_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Around a point that moves on, now and then far ahead.
            let jump = if round % 5_000 == 4_999 { 700 } else { 0 };
            let counter = (round / 4 + (state >> 55)).saturating_sub(200) + jump;
            let highest = seen.last().copied();
            let expected = !seen.contains(&counter) && highest.is_none_or(|top| counter + 256 > top);
            assert_eq!(window.is_fresh(counter), expected, "{counter} after {highest:?}");
            if expected {
                assert_eq!(window.take(counter), highest.is_none_or(|top| counter > top));
                seen.insert(counter);
            }
        }
    }
}
