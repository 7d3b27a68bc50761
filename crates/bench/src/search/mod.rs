//! What a search costs in an index of millions of names, and what their memory is: the index alone, in this process, without
//! a socket or a seal.
//!
//! | module | what it does |
//! |---|---|
//! | [`random`] | numbers that are the same for the same seed |
//! | [`words`], [`shapes`], [`names`] | names of files, made up |
//! | [`crowd`] | the index, who publishes in it and who asks it |
//! | [`queries`] | what people type |
//! | [`timing`] | how long the answers take |
//! | [`scan`] | the floor: looking through all names |

mod crowd;
pub(crate) mod names;
mod queries;
pub(crate) mod random;
mod scan;
mod shapes;
mod timing;
mod words;

use std::io::{self, BufWriter, Write as _};
use std::time::Instant;

use bittrickle_wire::Query;
use bittrickle_wire::messages::{Filter, Reply, Search};
use clap::{Args, value_parser};

use crate::report::{Line, Report, ReportError};
use crowd::Crowd;
use names::Names;
use queries::{Typed, Typing};
use random::{Purpose, Random};
use scan::Scan;
use timing::{Times, WARM_UP, percentile};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Published names in the index; ten million need about ten gigabytes of memory
    #[arg(long, default_value_t = 10_000_000, value_parser = value_parser!(u32).range(1_000..=10_000_000))]
    names: u32,

    /// Searches of each group
    #[arg(long, default_value_t = 20_000, value_parser = value_parser!(u32).range(1..=10_000_000))]
    queries: u32,

    /// Other names and other searches for another number
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Measure nothing: print the names,e a line
    #[arg(long, conflicts_with_all = ["json", "print_queries"])]
    print_names: bool,

    /// Measure nothing: print what is searched for, one text a line; a tab and an extension follow where names must end with it
    #[arg(long, conflicts_with = "json")]
    print_queries: bool,
}

/// Why searches could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    /// The index does something else than it is asked.
    #[error("the index answered with {0:?}")]
    Refused(Box<Reply>),
    /// The operating system doesn't say how much memory is in use.
    #[error("can't read the memory from /proc: {0}; this benchmark needs Linux")]
    Memory(#[from] io::Error),
    /// The figures can't be handed over.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Searches that are put to the floor as well, which is slow.
const SCANNED: usize = 48;

/// Words whose further pages are looked at.
const COMMON_WORDS: usize = 300;

/// The last page that is looked at.
const PAGES: usize = 10;

/// Measures everything, or prints what would be searched.
///
/// # Errors
/// The index refuses something, there is no /proc, or stdout takes no more.
pub(crate) fn run(options: &Options) -> Result<(), SearchError> {
    let (count, seed) = (options.names as usize, options.seed);
    if options.print_names {
        return print(Names::new(seed, count).take(count).map(|name| name.as_str().to_owned()));
    }
    if options.print_queries {
        let (_, sample) = Scan::new(seed, count);
        let mut typing = Typing::new(&sample, seed);
        // Those that count: the first are the warm-up.
        return print((0..WARM_UP + options.queries as usize).map(|_| typing.text()).skip(WARM_UP));
    }
    let mut report = Report::to_stdout(options.json);
    measure(count, options.queries as usize, seed, &mut report)?;
    report.finish()?;
    Ok(())
}

fn measure(count: usize, queries: usize, seed: u64, report: &mut Report) -> Result<(), SearchError> {
    let name = format!("search.{}", short(count));
    let mut crowd = Crowd::gather(seed, count)?;
    report.add(&Line::new(format!("{name}.bytes"), crowd.bytes_per_name, "bytes/name"))?;
    let (scan, sample) = Scan::new(seed, count);
    let mut typing = Typing::new(&sample, seed);
    let searches = WARM_UP + queries;

    let texts: Vec<Typed> = (0..searches).map(|_| typing.text()).collect();
    let times = Times::of(&mut crowd, texts.iter().map(Typed::search))?;
    report_group(&name, &times, Some(floor(&scan, &texts)), report)?;

    let texts: Vec<Typed> = (0..searches).map(|_| typing.short_text()).collect();
    let times = Times::of(&mut crowd, texts.iter().map(Typed::search))?;
    report_group(&format!("{name}.short"), &times, Some(floor(&scan, &texts)), report)?;

    let pages = further_pages(&mut crowd)?;
    let mut random = Random::new(seed, Purpose::Pages);
    if pages.is_empty() {
        eprintln!("{name}.next: no word has a second page; more --names are needed");
        return Ok(());
    }
    let searches = (0..searches).map(|_| pages[random.below(pages.len())].clone());
    let times = Times::of(&mut crowd, searches)?;
    report_group(&format!("{name}.next"), &times, None, report)
}

/// The second page and all that follow of common words, each page asked for once to learn where the next one starts.
fn further_pages(crowd: &mut Crowd) -> Result<Vec<Search>, SearchError> {
    let mut pages = Vec::new();
    for word in words::known().filter(|word| word.len() >= 3).take(COMMON_WORDS) {
        let text = Query::new(word).expect("a word is a query");
        let mut search = Search { text, filter: Filter::default(), after: None };
        for _ in 1..PAGES {
            let (found, _) = crowd.search(search.clone())?;
            if found.next.is_none() {
                break;
            }
            search.after = found.next;
            pages.push(search.clone());
        }
    }
    Ok(pages)
}

/// Milliseconds of the middle one of some of these texts, when all names are looked through.
fn floor(scan: &Scan, texts: &[Typed]) -> f64 {
    let mut durations: Vec<_> = texts[WARM_UP..]
        .iter()
        .take(SCANNED)
        .map(|typed| {
            let start = Instant::now();
            std::hint::black_box(scan.count(typed));
            start.elapsed()
        })
        .collect();
    durations.sort_unstable();
    percentile(&durations, 0.5).as_secs_f64() * 1e3
}

fn report_group(
    name: &str,
    times: &Times,
    floor: Option<f64>,
    report: &mut Report,
) -> Result<(), SearchError> {
    times.tell(name);
    let (label, median) = (format!("{name}.p50"), times.milliseconds(0.5));
    report.add(&match floor {
        Some(floor) => Line::with_floor(label, median, "ms", floor),
        None => Line::new(label, median, "ms"),
    })?;
    report.add(&Line::new(format!("{name}.p99"), times.milliseconds(0.99), "ms"))?;
    Ok(())
}

fn print(lines: impl Iterator<Item = impl std::fmt::Display>) -> Result<(), SearchError> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in lines {
        writeln!(out, "{line}").map_err(ReportError::Write)?;
    }
    out.flush().map_err(ReportError::Write)?;
    Ok(())
}

/// A number as it stands in the names of figures: `10m`, `200k`, `1234`.
fn short(number: usize) -> String {
    match (number / 1_000_000, number / 1_000 % 1_000, number % 1_000) {
        (0, thousands, 0) => format!("{thousands}k"),
        (millions, 0, 0) => format!("{millions}m"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_named_after_the_number_of_names() {
        let names = [10_000_000, 1_000_000, 200_000, 1_234, 1_500_000].map(short);
        assert_eq!(names, ["10m", "1m", "200k", "1234", "1500000"]);
    }

    #[test]
    fn what_looking_through_all_names_finds_the_index_finds() {
        let mut crowd = Crowd::gather(1, 5_000).unwrap();
        assert!(!further_pages(&mut crowd).unwrap().is_empty(), "common words have more than one page");
        let (scan, sample) = Scan::new(1, 5_000);
        let mut typing = Typing::new(&sample, 1);
        for typed in (0..200).map(|_| typing.text()) {
            let (found, _) = crowd.search(typed.search()).unwrap();
            assert!(!found.hits.is_empty() || scan.count(&typed) == 0, "{typed}");
        }
    }
}
