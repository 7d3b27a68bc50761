//! Plans: what a content is made of, and what its pieces are checked against. Nothing is fetched without one (BT-3.5-1).

use std::sync::Arc;

use bittrickle_wire::content::{
    CHAINING_VALUE_BYTES, ChainingValue, Checks, Layout, Manifest, ManifestError, PieceHasher,
};
use bittrickle_wire::limits::{FETCH_VALUES_MAX, MANIFEST_BYTES_MAX, PIECE_BYTES};
use bittrickle_wire::messages::{Describe, Described, Fetch, Part};
use bittrickle_wire::{Content, FileBytes, Message, Root, Target};

use super::connection::Connection;
use super::error::SourceError;

/// What is fetched, piece by piece.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) layout: Layout,
    pub(super) manifest: Option<Arc<Manifest>>,
    /// Absent while the root isn't known.
    pub(super) checks: Option<Checks>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    /// The source's fault; another may do better.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The content's fault.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Blocks of a manifest and values of an outline that are asked for at once.
const BLOCKS: u32 = (MANIFEST_BYTES_MAX / PIECE_BYTES) as u32;

impl Plan {
    /// Whether a piece that has been hashed is what it should be. While the root isn't known, `value` came with it from the
    /// source.
    pub(super) fn is_good(&self, piece: u32, hasher: &PieceHasher, value: &[u8]) -> bool {
        match &self.checks {
            Some(checks) => checks.check_hashed(&self.layout, piece, hasher),
            None if self.layout.pieces() == 1 => hasher.root().as_bytes() == value,
            None => hasher.chaining_value() == value,
        }
    }

    /// Bytes that follow each piece: its chaining value, while the root isn't known (BT-3.4-4).
    pub(super) fn trailer_bytes(&self) -> usize {
        if self.checks.is_some() { 0 } else { CHAINING_VALUE_BYTES }
    }
}

/// Asks what the source has, and holds it against what was asked for.
pub(super) fn describe(
    connection: &mut Connection,
    target: &Target,
    expected: &Content,
) -> Result<Described, SourceError> {
    connection.send([Message::Describe(Describe {})])?;
    let described = match connection.receive_frame()? {
        Message::Described(described) => described,
        message => return Err(SourceError::Unexpected(message.kind())),
    };
    let root_fits = match target {
        Target::Root(root) => described.root == Some(*root),
        // It may have been hashed since; what is fetched by a name is provisional either way.
        Target::Name(_) => true,
    };
    // The size isn't part of the root: it is believed as the index lists it, and nobody describes another (BT-3.5-2).
    let size_fits = expected.file_bytes.is_none_or(|bytes| bytes == described.file_bytes);
    if root_fits && size_fits && described.manifest_bytes.is_some() == expected.is_folder {
        Ok(described)
    } else {
        Err(SourceError::OtherContent)
    }
}

/// Fetches what it takes to check every piece, and checks that against the root. Tells when some of it has come.
pub(super) fn fetch(
    connection: &mut Connection,
    target: &Target,
    described: &Described,
    some_came: &dyn Fn(),
) -> Result<Plan, PlanError> {
    let root = match target {
        Target::Root(root) => *root,
        Target::Name(_) => {
            let layout = Layout::of_file(described.file_bytes.bytes()).map_err(SourceError::Layout)?;
            return Ok(Plan { layout, manifest: None, checks: None });
        }
    };
    let (layout, manifest, roots) = match described.manifest_bytes {
        None => {
            let layout = Layout::of_file(described.file_bytes.bytes()).map_err(SourceError::Layout)?;
            (layout, None, vec![root])
        }
        Some(bytes) => {
            let manifest = fetch_manifest(connection, root, bytes, some_came)?;
            let layout = Layout::of_manifest(&manifest).map_err(SourceError::Layout)?;
            if layout.bytes() != described.file_bytes.bytes() {
                return Err(SourceError::OtherContent.into());
            }
            let roots = manifest.files().map(|file| file.root).collect();
            (layout, Some(Arc::new(manifest)), roots)
        }
    };
    let outline = fetch_outline(connection, layout.outline_values(), some_came)?;
    let checks = Some(Checks::new(&layout, roots, outline).map_err(SourceError::Outline)?);
    Ok(Plan { layout, manifest, checks })
}

fn fetch_manifest(
    connection: &mut Connection,
    root: Root,
    bytes: FileBytes,
    some_came: &dyn Fn(),
) -> Result<Manifest, PlanError> {
    let bytes = usize::try_from(bytes.bytes()).ok().filter(|bytes| (1..=MANIFEST_BYTES_MAX).contains(bytes));
    let bytes = bytes.ok_or(SourceError::OtherContent)?;
    let count = bytes.div_ceil(PIECE_BYTES) as u32;
    debug_assert!(count <= BLOCKS);
    connection.send([Message::Fetch(Fetch { part: Part::MANIFEST, first: 0, count })])?;
    let encoded = connection.receive_bytes(bytes, some_came)?;
    if Root::of(&encoded) != root {
        return Err(SourceError::OtherContent.into());
    }
    // These are the bytes that were asked for: nobody can send better ones (BT-3.6-4).
    Ok(Manifest::decode(&encoded)?)
}

fn fetch_outline(
    connection: &mut Connection,
    values: u32,
    some_came: &dyn Fn(),
) -> Result<Vec<ChainingValue>, SourceError> {
    let mut outline = Vec::new();
    while outline.len() < values as usize {
        let first = outline.len() as u32;
        let count = (values - first).min(FETCH_VALUES_MAX);
        connection.send([Message::Fetch(Fetch { part: Part::OUTLINE, first, count })])?;
        let bytes = connection.receive_bytes(count as usize * CHAINING_VALUE_BYTES, some_came)?;
        let (values, _) = bytes.as_chunks();
        outline.extend_from_slice(values);
    }
    Ok(outline)
}
