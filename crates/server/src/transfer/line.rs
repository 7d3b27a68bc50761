//! A line of an export, and reading lines. A line can have a password's hash, so that what is wrong with one is told with care.

use std::io::{self, BufRead, Read as _};

use bittrickle_wire::{Content, FileName, MemberName, escaped};
use serde::{Deserialize, Serialize};

use crate::directory::{DEVICES_PER_MEMBER_MAX, MEMBERS_MAX};
use crate::store::{DeviceRow, MemberEntry};

/// What a line says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<M> {
    BittrickleExport(Header),
    Member(MemberEntry),
    Device(DeviceRow),
    Offline(OfflineEntry<M>),
    Publication(PublicationEntry<M>),
    End(Counts),
}

/// What an export begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) version: u32,
}

/// The version of exports. A reader refuses every other, rather than guess.
pub(super) const VERSION: u32 = 1;

/// How long a member has been offline.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfflineEntry<M> {
    pub(super) member: M,
    pub(super) hours: u32,
}

/// What a member publishes under a name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublicationEntry<M> {
    pub(super) member: M,
    pub(super) name: FileName,
    pub(super) content: Content,
}

/// How many lines of each kind there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) members: u64,
    pub(crate) devices: u64,
    pub(crate) offline: u64,
    pub(crate) publications: u64,
}

impl Counts {
    /// One more, of this line's kind.
    pub(super) fn add<M>(&mut self, line: &Line<M>) {
        match line {
            Line::Member(_) => self.members += 1,
            Line::Device(_) => self.devices += 1,
            Line::Offline(_) => self.offline += 1,
            Line::Publication(_) => self.publications += 1,
            Line::BittrickleExport(_) | Line::End(_) => {}
        }
    }
}

/// What is wrong with a line. Of a line that has a password's hash, nothing is told but where it is wrong.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it has more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("it is not acceptable at column {column}{reason}")]
    NotALine { column: usize, reason: Reason },
    #[error("an export begins with another line; is it what `bittrickle-server export` writes?")]
    NotAnExport,
    #[error("the export is of version {version}, this program knows {VERSION}")]
    Version { version: u32 },
    #[error("another export begins here; import one at a time")]
    SecondExport,
    #[error("its member has no line before it, and is not on the server")]
    NoMember,
    #[error("there is no room for another member: {MEMBERS_MAX} is the most")]
    TooManyMembers,
    #[error("its member would have more than {DEVICES_PER_MEMBER_MAX} devices")]
    TooManyDevices,
    #[error("there is no room for another publication on the server")]
    TooManyPublications,
    #[error("it counts other lines than there are before it: some are missing, or too many")]
    OtherCounts,
    #[error("it comes behind the export's last line")]
    BehindTheEnd,
    #[error("the export was cut off here; export it again, or take another copy of it")]
    Cut,
}

/// A line as it was read.
pub(super) type Parsed = Result<Line<MemberName>, Fault>;

/// Why a line can't be read, where it can be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reason(Option<String>);

/// Most bytes of a line without its line feed: a name of 255 bytes, each as `\u0061`, leaves much room for the rest.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1_024;

/// Whether a line is the last one of an export.
pub(crate) fn is_end(line: &[u8]) -> bool {
    line.starts_with(b"{\"end\":") && line.ends_with(b"}\n")
}

/// Reads lines one by one. Empty lines are passed over.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    number: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0, bytes: Vec::new() }
    }

    /// The next line with its number, from 1. `None` behind the last one. A line that ends nowhere is read if it can be.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Parsed)>> {
        loop {
            if self.read()? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.bytes.len() > LINE_BYTES_MAX && !self.bytes.ends_with(b"\n") {
                return Ok(Some((self.number, Err(Fault::TooLong))));
            }
            let text = self.bytes.trim_ascii();
            if !text.is_empty() {
                let parsed = parse(text);
                let is_cut = parsed.is_err() && !self.bytes.ends_with(b"\n");
                return Ok(Some((self.number, if is_cut { Err(Fault::Cut) } else { parsed })));
            }
        }
    }

    /// The number of the line that was read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Reads to the end of the line, but no more than a line may have.
    fn read(&mut self) -> io::Result<usize> {
        self.bytes.clear();
        (&mut self.input).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut self.bytes)
    }
}

fn parse(text: &[u8]) -> Parsed {
    serde_json::from_slice(text).map_err(|error| {
        let has = |part: &[u8]| text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
        let reason = (!SECRETS.into_iter().any(has)).then(|| {
            let told = error.to_string();
            let told = told.rsplit_once(" at line ").map_or(told.as_str(), |(reason, _)| reason);
            escaped(told).cut(REASON_COLUMNS_MAX).to_string()
        });
        Fault::NotALine { column: error.column(), reason: Reason(reason) }
    })
}

/// What stands in a line that has a hash, however damaged the line is otherwise: in the field's name, or in the hash.
const SECRETS: [&[u8]; 2] = [b"pass", b"argon2"];

/// Most terminal columns of a reason, which can quote the line.
const REASON_COLUMNS_MAX: usize = 120;

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<(u64, Parsed)> {
        let mut lines = Lines::new(text);
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    const DEVICE: &str = r#"{"device":{"device":"KEY","member":"alice","enrolled_unix_s":7}}"#;
    const PUBLICATION: &str = r#"{"publication":{"member":"alice","name":"a","content":{"file_bytes":1,"root":null,"is_folder":false}}}"#;

    #[test]
    fn lines_are_counted_and_empty_ones_passed_over() {
        let device = DEVICE.replace("KEY", &"07".repeat(32));
        let text = format!("{device}\r\n\n  \n{PUBLICATION}");
        let lines = read(text.as_bytes());
        assert!(matches!(lines.as_slice(), [(1, Ok(Line::Device(_))), (4, Ok(Line::Publication(_)))]));
        let cut = read(&PUBLICATION.as_bytes()[..50]);
        assert_eq!(cut, [(1, Err(Fault::Cut))]);
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let long = " ".repeat(LINE_BYTES_MAX - PUBLICATION.len()) + PUBLICATION;
        for (bad, is_good) in [
            ("{}", false),
            ("[1]", false),
            ("{\"publication\":1}", false),
            (DEVICE, false),
            (&PUBLICATION.replace("\"a\"", "\"a/b\""), false),
            (&PUBLICATION.replace("\"member\"", "\"more\":1,\"member\""), false),
            (&format!("{PUBLICATION}{PUBLICATION}"), false),
            (&long, true),
            (&format!(" {long}"), false),
            (&long.repeat(9), false),
        ] {
            let lines = read(format!("{PUBLICATION}\n{bad}\n").as_bytes());
            assert_eq!((lines[1].0, lines[1].1.is_ok()), (2, is_good), "{bad}");
        }
        assert!(read(b"\xff\n")[0].1.is_err());
    }

    #[test]
    fn why_a_line_is_refused_is_told_but_never_a_hash() {
        let fault = |text: &str| read(format!("{text}\n").as_bytes()).remove(0).1.unwrap_err().to_string();
        let told = fault(&PUBLICATION.replace("\"a\"", "\"a\u{202e}b\""));
        assert!(told.contains("file name") && !told.contains('\u{202e}'), "{told}");
        for bad in [
            r#"{"member":{"member":"alice","password":"hush-hush","disabled":false,"created_unix_s":1}}"#,
            r#"{"member":{"member":"alice","disabled":false,"created_unix_s":"hush-hush","password":1}}"#,
            r#"{"member":"$argon2id$hush-hush"}"#,
        ] {
            assert!(!fault(bad).contains("hush"), "{}", fault(bad));
        }
    }
}
