//! The specification and the tests hold each other: every clause has a test that cites it, and no test cites another.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::project;

#[test]
fn every_clause_has_a_test_that_cites_it() {
    let (clauses, cited) = (clauses(), cited());
    let untested: Vec<_> = clauses.difference(&cited).collect();
    assert!(clauses.len() > 60, "the clauses are found: {}", clauses.len());
    assert!(untested.is_empty(), "no test cites {untested:?}");
}

#[test]
fn every_clause_that_a_test_cites_exists() {
    let unknown: BTreeSet<_> = cited().difference(&clauses()).cloned().collect();
    assert!(unknown.is_empty(), "the specification has no {unknown:?}");
}

#[test]
fn no_clause_id_is_used_twice() {
    let mut seen = BTreeSet::new();
    for id in spec_files().iter().flat_map(|text| headings(text)) {
        assert!(seen.insert(id.clone()), "{id} stands twice");
    }
}

/// A file that no module declares is never compiled: its citations would be worth nothing.
#[test]
fn every_scenario_file_is_part_of_the_suite() {
    for file in files_below(&project().join("tests/scenarios"), "rs") {
        let (folder, stem) = (file.parent().unwrap(), file.file_stem().unwrap().to_str().unwrap());
        let parent =
            if folder.ends_with("scenarios") { folder.join("main.rs") } else { folder.with_extension("rs") };
        let declared = fs::read_to_string(parent).unwrap().lines().any(|line| line == format!("mod {stem};"));
        assert!(declared || stem == "main", "{}", file.display());
    }
}

fn clauses() -> BTreeSet<String> {
    spec_files().iter().flat_map(|text| headings(text)).collect()
}

fn spec_files() -> Vec<String> {
    let files = files_below(&project().join("spec"), "md");
    files.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The ids that begin a clause: `**BT-1.2-3**` at the start of a line.
fn headings(text: &str) -> Vec<String> {
    let id = |line: &str| line.strip_prefix("**")?.split_once("**").map(|(id, _)| id.to_owned());
    text.lines().filter_map(id).filter(|id| id.starts_with("BT-")).collect()
}

/// The ids in the scenarios, and in the unit tests of the crates.
fn cited() -> BTreeSet<String> {
    let mut texts: Vec<String> = Vec::new();
    for path in files_below(&project().join("tests/scenarios"), "rs") {
        texts.push(fs::read_to_string(path).unwrap());
    }
    for path in files_below(&project().join("crates"), "rs") {
        let text = fs::read_to_string(path).unwrap();
        texts.extend(text.split_once("#[cfg(test)]").map(|(_, tests)| tests.to_owned()));
    }
    texts.iter().flat_map(|text| ids(text)).collect()
}

fn ids(text: &str) -> Vec<String> {
    let is_id = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let clause = |part: &str| {
        let id = &part[..part.find(|c| !is_id(c)).unwrap_or(part.len())];
        let id = id.trim_end_matches(['.', '-']);
        id.contains('-').then(|| format!("BT-{id}"))
    };
    text.split("BT-").skip(1).filter_map(clause).collect()
}

pub(crate) fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
