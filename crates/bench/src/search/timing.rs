//! How long searches take, one by one.

use std::time::Duration;

use bittrickle_wire::messages::Search;

use super::SearchError;
use super::crowd::Crowd;

/// What a group of searches took.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// The shortest first.
    durations: Vec<Duration>,
    slowest: Option<(Duration, Search)>,
    hits: usize,
    /// Pages without a hit.
    empty: usize,
    /// Those of them that others follow: the index has looked at as many names as it does for one request.
    unfinished: usize,
}

/// Searches before the first that counts.
pub(super) const WARM_UP: usize = 1_000;

impl Times {
    /// Asks all of these. The first [`WARM_UP`] don't count.
    ///
    /// # Errors
    /// The index refuses one.
    pub(super) fn of(crowd: &mut Crowd, searches: impl Iterator<Item = Search>) -> Result<Self, SearchError> {
        let mut times = Self::default();
        for (number, search) in searches.enumerate() {
            let asked = search.clone();
            let (found, duration) = crowd.search(search)?;
            if number < WARM_UP {
                continue;
            }
            times.durations.push(duration);
            times.hits += found.hits.len();
            times.empty += usize::from(found.hits.is_empty());
            times.unfinished += usize::from(found.hits.is_empty() && found.next.is_some());
            if times.slowest.as_ref().is_none_or(|(slowest, _)| duration > *slowest) {
                times.slowest = Some((duration, asked));
            }
        }
        times.durations.sort_unstable();
        Ok(times)
    }

    /// Milliseconds that this part of them, from 0 to 1, took at most.
    pub(super) fn milliseconds(&self, part: f64) -> f64 {
        percentile(&self.durations, part).as_secs_f64() * 1e3
    }

    /// Tells people what the figures don't: what was found, and what took longest.
    pub(super) fn tell(&self, group: &str) {
        let Some((duration, search)) = &self.slowest else { return };
        let count = self.durations.len() as f64;
        let [hits, empty, unfinished] =
            [self.hits, self.empty, self.unfinished].map(|sum| sum as f64 / count);
        let [median, most] = [0.5, 0.99].map(|part| self.milliseconds(part) * 1e3);
        eprintln!("{group}: p50 {median:.1} µs, p99 {most:.1} µs; {hits:.1} hits a page");
        let (empty, unfinished) = (empty * 100.0, unfinished * 100.0);
        eprintln!(
            "{group}: {empty:.1} % of the pages are empty, {unfinished:.1} % empty and not the last one"
        );
        let (text, filter) = (search.text.as_str(), &search.filter.extension);
        let filter = filter
            .as_ref()
            .map_or(String::new(), |extension| format!(" ending with .{}", extension.as_str()));
        let page = if search.after.is_some() { ", not its first page" } else { "" };
        eprintln!("{group}: the slowest took {:.2} ms: {text:?}{filter}{page}", duration.as_secs_f64() * 1e3);
    }
}

/// Of the shortest first, the one that this part of them doesn't exceed.
pub(super) fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_figures() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.5), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 0.99), Duration::from_millis(198));
        assert_eq!(percentile(&sorted, 1.0), Duration::from_millis(200));
        assert_eq!(percentile(&sorted[..1], 0.5), Duration::from_millis(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
