//! Contents, and what an honest source answers about them: written from the specification, without the project's hashing.

use bittrickle_wire::messages::{
    AskHave, Bitmap, Described, Fetch, Have, Offer, Part, RefusalCode, Refused, Renewed, Reply,
};
use bittrickle_wire::{FileBytes, FileName, HexBytes, Message, Root};
use blake3::hazmat::HasherExt as _;
use bytes::Bytes;

/// A content as its bytes: those of one file, or those of a folder's files in the order of its manifest.
#[derive(Clone, Debug)]
pub struct Content {
    manifest: Option<Vec<u8>>,
    files: Vec<Vec<u8>>,
}

/// What stands in a folder.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// A folder.
    Folder(&'a str),
    /// A file with these bytes.
    File(&'a str, &'a [u8]),
    /// A file with these bytes that can be executed.
    Program(&'a str, &'a [u8]),
}

/// Bytes of a piece (BT-3.1-4), and of the most that one `Data` brings.
pub const PIECE: usize = 1 << 20;
const DATA: usize = 65_280;

impl Content {
    /// One file.
    #[must_use]
    pub fn file(bytes: &[u8]) -> Self {
        Self { manifest: None, files: vec![bytes.to_vec()] }
    }

    /// A folder with these in it, in this order, which is that of a manifest (BT-3.6-3).
    ///
    /// # Panics
    /// A path is too long.
    #[must_use]
    pub fn folder(entries: &[Entry<'_>]) -> Self {
        let (mut manifest, mut files) = (b"BTM1".to_vec(), Vec::new());
        for entry in entries {
            let (kind, path, bytes) = match *entry {
                Entry::Folder(path) => (0, path, None),
                Entry::File(path, bytes) => (1, path, Some(bytes)),
                Entry::Program(path, bytes) => (2, path, Some(bytes)),
            };
            let path_bytes = u16::try_from(path.len()).expect("the paths of scenarios are short");
            manifest.push(kind);
            manifest.extend_from_slice(&path_bytes.to_be_bytes());
            manifest.extend_from_slice(path.as_bytes());
            if let Some(bytes) = bytes {
                manifest.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
                manifest.extend_from_slice(blake3::hash(bytes).as_bytes());
                files.push(bytes.to_vec());
            }
        }
        Self { manifest: Some(manifest), files }
    }

    /// A folder whose manifest has these bytes, whatever they are.
    #[must_use]
    pub fn with_manifest(manifest: &[u8], files: &[&[u8]]) -> Self {
        let files = files.iter().map(|bytes| bytes.to_vec()).collect();
        Self { manifest: Some(manifest.to_vec()), files }
    }

    /// Its root (BT-3.1-3).
    #[must_use]
    pub fn root(&self) -> Root {
        let bytes = self.manifest.as_ref().unwrap_or_else(|| &self.files[0]);
        Root(HexBytes(*blake3::hash(bytes).as_bytes()))
    }

    /// How it is published.
    ///
    /// # Panics
    /// The name isn't acceptable.
    #[must_use]
    pub fn offer(&self, name: &str) -> Offer {
        Offer {
            name: FileName::new(name).expect("an acceptable name"),
            file_bytes: self.file_bytes(),
            root: Some(self.root()),
            is_folder: self.manifest.is_some(),
        }
    }

    /// How it is published while it is being hashed.
    #[must_use]
    pub fn unhashed_offer(&self, name: &str) -> Offer {
        Offer { root: None, ..self.offer(name) }
    }

    /// What an honest source that has all of it answers (BT-3.2, BT-3.3, BT-3.4-4).
    #[must_use]
    pub fn answer(&self, request: &Message, by_name: bool) -> Vec<Message> {
        let refused = |code| vec![Message::Reply(Reply::Refused(Refused::new(code, "not from here")))];
        match request {
            Message::Describe(_) => vec![Message::Described(Described {
                file_bytes: self.file_bytes(),
                root: (!by_name).then(|| self.root()),
                manifest_bytes: self.manifest.as_ref().map(|manifest| size(manifest.len())),
                is_complete: true,
            })],
            Message::Renew(_) => vec![Message::Renewed(Renewed {})],
            Message::AskHave(AskHave { first }) => {
                let pieces = self.pieces().len().saturating_sub(*first as usize).min(4_096);
                let bits =
                    |byte: usize| (0..8).filter(move |bit| 8 * byte + bit < pieces).map(|bit| 1 << bit);
                let bytes = (0..pieces.div_ceil(8)).map(|byte| bits(byte).sum()).collect();
                let bitmap = Bitmap::new(bytes).expect("no more than fit");
                vec![Message::Have(Have { first: *first, bitmap })]
            }
            Message::Fetch(Fetch { part, first, count }) => {
                let range = *first as usize..*first as usize + *count as usize;
                let bytes = match (*part, &self.manifest) {
                    (Part::MANIFEST, Some(manifest)) => {
                        manifest.chunks(PIECE).collect::<Vec<_>>().get(range).map(<[_]>::concat)
                    }
                    (Part::OUTLINE, _) if by_name => return refused(RefusalCode::NOT_HERE),
                    (Part::OUTLINE, _) => self.outline().get(range).map(<[_]>::concat),
                    (Part::PIECES, _) => self.pieces().get(range).map(|pieces| {
                        let bytes = |piece: &Piece<'_>| match by_name {
                            true => [piece.bytes, &piece.value].concat(),
                            false => piece.bytes.to_vec(),
                        };
                        pieces.iter().flat_map(bytes).collect()
                    }),
                    _ => None,
                };
                bytes.map_or_else(|| refused(RefusalCode::MALFORMED), |bytes| data(&bytes))
            }
            _ => refused(RefusalCode::UNEXPECTED_KIND),
        }
    }

    /// The chaining values of the pieces of all files that have several (BT-3.1-5, BT-3.1-7).
    #[must_use]
    pub fn outline(&self) -> Vec<[u8; 32]> {
        self.pieces().iter().filter(|piece| !piece.is_only).map(|piece| piece.value).collect()
    }

    fn file_bytes(&self) -> FileBytes {
        size(self.files.iter().map(Vec::len).sum())
    }

    fn pieces(&self) -> Vec<Piece<'_>> {
        let of_file = |file: &'_ Vec<u8>| -> Vec<(u64, bool)> {
            let starts = (0..file.len()).step_by(PIECE);
            starts.map(|start| (start as u64, file.len() <= PIECE)).collect()
        };
        let piece = |bytes, (offset, is_only)| {
            let value = match is_only {
                true => *blake3::hash(bytes).as_bytes(),
                false => blake3::Hasher::new().set_input_offset(offset).update(bytes).finalize_non_root(),
            };
            Piece { bytes, value, is_only }
        };
        let pieces = self.files.iter().flat_map(|file| file.chunks(PIECE).zip(of_file(file)));
        pieces.map(|(bytes, place)| piece(bytes, place)).collect()
    }
}

struct Piece<'a> {
    bytes: &'a [u8],
    value: [u8; 32],
    is_only: bool,
}

/// Bytes, in as few frames as they fit.
#[must_use]
pub fn data(bytes: &[u8]) -> Vec<Message> {
    bytes.chunks(DATA).map(|bytes| Message::Data(Bytes::copy_from_slice(bytes))).collect()
}

/// Bytes that don't repeat themselves, the same for each seed.
#[must_use]
pub fn random_bytes(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut random);
    random
}

fn size(bytes: usize) -> FileBytes {
    FileBytes::new(bytes as u64).expect("contents are small here")
}
