//! JSON as Python's `json.dumps` prints it: `, ` and `: ` between items, all but ASCII escaped (BT-4.1-2).

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// The JSON text of `value`, as the original would print it.
pub(super) fn print<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let mut serializer = Serializer::with_formatter(&mut out, Python);
    value.serialize(&mut serializer).expect("legacy messages have string keys, and memory doesn't fail");
    out
}

/// The bytes of one string as an item of a list: its quotes, its escapes and the `, ` behind it.
pub(super) fn item_bytes(text: &str) -> usize {
    print(&text).len() + ", ".len()
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            match character {
                ' '..='~' => writer.write_all(&[character as u8])?,
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
