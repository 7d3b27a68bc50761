//! Choices: what somebody means who names something, and which of several contents of a name is fetched (BT-2.6-7).

use bittrickle_wire::{Content, FileName, MemberName, RootPrefix, composed};

/// One content under the name that is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// What is known of it.
    pub content: Content,
    /// Members who published it.
    pub members: u32,
    /// Devices that have it and are online.
    pub sources: u32,
}

/// Which of the candidates is fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// There is none.
    None,
    /// This one.
    One(usize),
    /// One of these, each a different content: a person has to say which.
    Several(Vec<usize>),
}

/// What a text may mean.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// Whatever has this name.
    Name(FileName),
    /// What a member published under this name.
    NameOf {
        /// The name.
        name: FileName,
        /// The member.
        member: MemberName,
    },
    /// Whatever has a root that begins so.
    Prefix(RootPrefix),
}

/// What a text may mean, in the order in which it is tried: a whole name, `name@member`, the first digits of a root. A slash
/// behind the name of a folder, as lists show it, is no part of it, and however the text is spelled, names are composed.
#[must_use]
pub fn wanted(text: &str) -> Vec<Wanted> {
    let text = &*composed(text);
    let file_name = |text: &str| FileName::new(text.strip_suffix('/').unwrap_or(text)).ok();
    let name = file_name(text).map(Wanted::Name);
    // Either may have an at sign in it: the longest names come first.
    let names_of = text.rmatch_indices('@').filter_map(|(at, _)| {
        let (name, member) = (file_name(&text[..at])?, MemberName::new(&text[at + 1..]).ok()?);
        Some(Wanted::NameOf { name, member })
    });
    let prefix = text.parse().ok().map(Wanted::Prefix);
    name.into_iter().chain(names_of).chain(prefix).collect()
}

/// Chooses among contents of one name. Never between two different roots, even if only one of them can be fetched now: that
/// is for a person to decide.
///
/// A root that is listed with several sizes is one content, of the size that most members say. One that is still being
/// hashed is taken for the only root there is when it has its size. One of which nothing is known (legacy) is the last
/// resort.
#[must_use]
pub fn choose(candidates: &[Candidate]) -> Choice {
    let rooted = best_of_each(candidates, |content| content.root.map(|root| (root, content.is_folder)));
    let hashing = best_of_each(candidates, |content| {
        let bytes = content.file_bytes.filter(|_| content.root.is_none())?;
        Some((bytes, content.is_folder))
    });
    let is_other = |index: &usize| {
        let [root] = rooted[..] else { return true };
        let (root, content) = (&candidates[root].content, &candidates[*index].content);
        (root.file_bytes, root.is_folder) != (content.file_bytes, content.is_folder)
    };
    let mut known: Vec<usize> = rooted.iter().copied().chain(hashing.into_iter().filter(is_other)).collect();
    if known.is_empty() {
        known = best_of_each(candidates, |_| Some(()));
    }
    known.sort_unstable();
    match known[..] {
        [] => Choice::None,
        [index] => Choice::One(index),
        _ => Choice::Several(known),
    }
}

/// Of all candidates with the same key the one with most members, then with most sources, then the first.
fn best_of_each<K: PartialEq>(candidates: &[Candidate], key: impl Fn(&Content) -> Option<K>) -> Vec<usize> {
    let mut best: Vec<(K, usize)> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let Some(key) = key(&candidate.content) else { continue };
        let weight = |index: usize| (candidates[index].members, candidates[index].sources);
        match best.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) if weight(index) > weight(*known) => *known = index,
            Some(_) => {}
            None => best.push((key, index)),
        }
    }
    best.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::{FileBytes, Root};

    use super::*;

    fn candidate(bytes: Option<u64>, root: Option<&str>, members: u32) -> Candidate {
        let file_bytes = bytes.map(|bytes| FileBytes::new(bytes).unwrap());
        let root = root.map(|text| Root::of(text.as_bytes()));
        Candidate { content: Content { file_bytes, root, is_folder: false }, members, sources: 1 }
    }

    fn folder(candidate: Candidate) -> Candidate {
        Candidate { content: Content { is_folder: true, ..candidate.content }, ..candidate }
    }

    #[test]
    fn one_content_is_chosen_and_several_are_a_persons_choice() {
        let rooted = |bytes, root, members| candidate(Some(bytes), Some(root), members);
        let hashing = |bytes| candidate(Some(bytes), None, 9);
        let legacy = candidate(None, None, 99);
        let unsized_root = candidate(None, Some("x"), 1);
        let offline = Candidate { sources: 0, ..rooted(5, "y", 1) };
        let several = |indices: &[usize]| Choice::Several(indices.to_vec());
        let cases = [
            (vec![], Choice::None),
            (vec![legacy], Choice::One(0)),
            (vec![legacy, rooted(5, "x", 1)], Choice::One(1)),
            (vec![legacy, hashing(5)], Choice::One(1)),
            (vec![rooted(5, "x", 1), rooted(6, "x", 3), rooted(7, "x", 2)], Choice::One(1)),
            (vec![rooted(5, "x", 1), rooted(5, "y", 9)], several(&[0, 1])),
            (vec![rooted(5, "x", 1), offline], several(&[0, 1])),
            (vec![rooted(5, "x", 1), folder(rooted(5, "x", 1))], several(&[0, 1])),
            (vec![hashing(5), rooted(5, "x", 1)], Choice::One(1)),
            (vec![hashing(6), rooted(5, "x", 1)], several(&[0, 1])),
            (vec![folder(hashing(5)), rooted(5, "x", 1)], several(&[0, 1])),
            (vec![hashing(6), rooted(5, "x", 1), rooted(6, "x", 2)], Choice::One(2)),
            (vec![hashing(5), unsized_root], several(&[0, 1])),
            (vec![hashing(5), hashing(6), legacy], several(&[0, 1])),
            (vec![rooted(5, "x", 1), hashing(5), rooted(5, "y", 1), legacy], several(&[0, 1, 2])),
            (vec![rooted(5, "x", 1), rooted(6, "x", 1), rooted(5, "y", 1)], several(&[0, 2])),
        ];
        for (candidates, expected) in cases {
            assert_eq!(choose(&candidates), expected, "{candidates:?}");
        }
    }

    #[test]
    fn a_text_is_tried_as_a_name_then_as_a_members_then_as_a_root() {
        let name = |text: &str| FileName::new(text).unwrap();
        let of = |text: &str, member: &str| {
            let member = MemberName::new(member).unwrap();
            Wanted::NameOf { name: name(text), member }
        };
        assert_eq!(wanted("a@b@c"), [Wanted::Name(name("a@b@c")), of("a@b", "c"), of("a", "b@c")]);
        assert_eq!(wanted("photos/"), [Wanted::Name(name("photos"))]);
        assert_eq!(wanted("photos/@bob"), [of("photos", "bob")]);
        assert_eq!(wanted("cafe\u{301}"), [Wanted::Name(name("caf\u{e9}"))]);
        assert_eq!(wanted("a@"), [Wanted::Name(name("a@"))]);
        assert_eq!(wanted("@a"), [Wanted::Name(name("@a"))]);
        let digits = "0123abcd";
        assert_eq!(wanted(digits), [Wanted::Name(name(digits)), Wanted::Prefix(digits.parse().unwrap())]);
        assert_eq!(wanted(""), []);
        assert_eq!(wanted("a/b"), []);
        // Behind the name is a character that no file name ends with.
        assert_eq!(wanted("a@b."), [of("a", "b.")]);
    }
}
