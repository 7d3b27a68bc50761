//! Made-up files that look like what students share. The same number always gives the same file.

use bittrickle_wire::messages::Offer;
use bittrickle_wire::{Content, FileBytes, FileName, Query, Root};

/// The file of this number. Names differ up to a million files, and are about as long as people's names for files.
pub(crate) fn offer(number: usize) -> Offer {
    let Content { root, is_folder, .. } = content(number);
    Offer { name: name(number), file_bytes: size(number), root, is_folder }
}

/// What stands behind the name of the file of this number.
pub(crate) fn content(number: usize) -> Content {
    Content { file_bytes: Some(size(number)), root: Some(root(number)), is_folder: false }
}

/// The root of the file of this number.
pub(crate) fn root(number: usize) -> Root {
    Root::of(&(number as u64).to_be_bytes())
}

/// The name of the file of this number.
pub(crate) fn name(number: usize) -> FileName {
    let subject = SUBJECTS[number % SUBJECTS.len()];
    let work = WORKS[number / SUBJECTS.len() % WORKS.len()];
    let extension = EXTENSIONS[number % EXTENSIONS.len()];
    FileName::new(&format!("{subject} {work} {number:05}.{extension}"))
        .expect("words and digits are acceptable")
}

/// The size of the file of this number: some kilobytes to some tens of megabytes, in no order.
pub(crate) fn size(number: usize) -> FileBytes {
    let bytes = 4_096 + (number as u64).wrapping_mul(2_654_435_761) % 50_000_000;
    FileBytes::new(bytes).expect("fifty megabytes are a size")
}

/// One query for each word that stands in the middle of names, so that its hits lie all over the index.
pub(crate) fn queries() -> impl Iterator<Item = Query> {
    WORKS.into_iter().map(|work| Query::new(work).expect("a word is a query"))
}

const SUBJECTS: [&str; 40] = [
    "Algebra",
    "Algorithms",
    "Anatomy",
    "Architecture",
    "Astronomy",
    "Biology",
    "Botany",
    "Calculus",
    "Chemistry",
    "Compilers",
    "Cryptography",
    "Databases",
    "Drawing",
    "Ecology",
    "Economics",
    "Électronique",
    "Ethics",
    "Genetics",
    "Geography",
    "Geology",
    "Geometry",
    "Graphics",
    "History",
    "Latin",
    "Linguistics",
    "Logic",
    "Mechanics",
    "Medicine",
    "Music",
    "Networks",
    "Ökologie",
    "Optics",
    "Pharmacy",
    "Philosophy",
    "Physics",
    "Poetry",
    "Psychology",
    "Robotics",
    "Statistics",
    "Thermodynamics",
];

const WORKS: [&str; 25] = [
    "abstract",
    "appendix",
    "assignment",
    "bibliography",
    "chapter",
    "diagram",
    "draft",
    "essay",
    "exam",
    "exercise",
    "figures",
    "handout",
    "interview",
    "lab report",
    "lecture",
    "notes",
    "poster",
    "proposal",
    "recording",
    "review",
    "slides",
    "solutions",
    "summary",
    "thesis",
    "transcript",
];

const EXTENSIONS: [&str; 7] = ["pdf", "docx", "tar.gz", "png", "txt", "mp4", "pptx"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_has_a_name_of_its_own_and_every_query_has_hits() {
        let names: BTreeSet<_> = (0..10_000).map(name).collect();
        assert_eq!(names.len(), 10_000);
        for query in queries() {
            assert!(names.iter().any(|name| name.as_str().contains(query.as_str())), "{query:?}");
        }
    }
}
