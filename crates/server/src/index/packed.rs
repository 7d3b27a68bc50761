//! A content in 40 bytes: an index holds millions of them.

use std::fmt;

use bittrickle_wire::{Content, FileBytes, HexBytes, Root};

/// A [`Content`], packed.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Packed {
    /// The size, which has 53 bits (BT-2.1-6), and what else there is to know.
    word: u64,
    root: [u8; 32],
}

const HAS_SIZE: u64 = 1 << 63;
const HAS_ROOT: u64 = 1 << 62;
const IS_FOLDER: u64 = 1 << 61;

impl From<Content> for Packed {
    fn from(Content { file_bytes, root, is_folder }: Content) -> Self {
        let size = file_bytes.map_or(0, |size| HAS_SIZE | size.bytes());
        let flags = if root.is_some() { HAS_ROOT } else { 0 } | if is_folder { IS_FOLDER } else { 0 };
        Self { word: size | flags, root: root.map_or([0; 32], |Root(HexBytes(root))| root) }
    }
}

impl From<Packed> for Content {
    fn from(Packed { word, root }: Packed) -> Self {
        let size = word & !(HAS_SIZE | HAS_ROOT | IS_FOLDER);
        Self {
            file_bytes: (word & HAS_SIZE != 0).then(|| FileBytes::new(size).expect("it was one")),
            root: (word & HAS_ROOT != 0).then_some(Root(HexBytes(root))),
            is_folder: word & IS_FOLDER != 0,
        }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Content::from(*self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_comes_out_as_it_went_in() {
        let sizes =
            [None, Some(0), Some((1 << 53) - 1)].map(|size| size.map(|size| FileBytes::new(size).unwrap()));
        for file_bytes in sizes {
            for root in [None, Some(Root(HexBytes([0; 32]))), Some(Root(HexBytes([0xa7; 32])))] {
                for is_folder in [false, true] {
                    let content = Content { file_bytes, root, is_folder };
                    assert_eq!(Content::from(Packed::from(content)), content);
                }
            }
        }
        assert_eq!(size_of::<Packed>(), 40);
    }
}
