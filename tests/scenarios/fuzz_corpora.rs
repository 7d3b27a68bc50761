//! The fuzzers' corpora, replayed: what they once found stays found, on the stable toolchain.

use std::collections::BTreeSet;
use std::fs;

use crate::project;

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is the fuzzers' library as well")]
pub(crate) mod properties;

#[test]
fn every_seed_of_every_target_still_holds() {
    for (target, property) in properties::TARGETS {
        let corpus = project().join("fuzz/corpus").join(target);
        let mut seeds = 0;
        for entry in fs::read_dir(&corpus).unwrap() {
            let path = entry.unwrap().path();
            // Shown only when the property panics.
            println!("{}", path.display());
            property(&fs::read(&path).unwrap());
            seeds += 1;
        }
        assert!(seeds >= 5, "{target} has {seeds} seeds");
    }
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let names: BTreeSet<_> = properties::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(project().join("fuzz").join(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
}
