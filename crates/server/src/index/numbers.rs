//! Numbers for what comes and goes: small ones, so that they can stand in bitmaps and index tables.
//!
//! They rise, so that their order is that of coming. A number is used again only after a great many others have become
//! free, and then the one that has been free the longest: tables stay dense however much comes and goes.

use std::collections::VecDeque;

/// Which numbers are in use.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    next: u32,
    /// In the order in which they became free.
    free: VecDeque<u32>,
}

/// So many numbers may be free before one is used again, and also an eighth of all.
const FREE_MAX: usize = 65_536;

impl Numbers {
    /// A number that is nobody's: 0 at first, and mostly the lowest that has never been used.
    pub(super) fn take(&mut self) -> u32 {
        if self.free.len() > FREE_MAX.max(self.next as usize / 8)
            && let Some(number) = self.free.pop_front()
        {
            return number;
        }
        let number = self.next;
        self.next = number
            .checked_add(1)
            .expect("there are fewer names than numbers, and an eighth of these is free");
        number
    }

    /// The number is nobody's any more.
    pub(super) fn give_back(&mut self, number: u32) {
        self.free.push_back(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_until_very_many_are_free() {
        let mut numbers = Numbers::default();
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [0, 1, 2]);
        numbers.give_back(1);
        assert_eq!(numbers.take(), 3);
        let last = (0..FREE_MAX).map(|_| numbers.take()).last().unwrap();
        (4..=last).for_each(|number| numbers.give_back(number));
        assert_eq!((numbers.take(), numbers.take()), (1, last + 1));
    }
}
