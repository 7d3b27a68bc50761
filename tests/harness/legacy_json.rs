//! JSON as the original's Python prints and reads it, for the imitations of its client and its server.
//!
//! Written by hand although the project has such a printer: a counterpart that borrowed it would share its mistakes.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

/// What both sides of the original hand to `recvfrom`. The rest of a longer datagram is lost, without notice.
pub(crate) const DATAGRAM_READ_BYTES: usize = 1024;

/// One value of an object that the original sends; it has no other kinds.
pub(crate) enum Item<'a> {
    /// A string.
    Text(&'a str),
    /// A number, kept as it was read: the original's server hands ports on without looking at them.
    Number(Number),
    /// A list of strings.
    Texts(Vec<&'a str>),
}

/// Prints one object as `json.dumps` does, with the keys in the order given.
///
/// Not by way of a `serde_json` map: that one sorts its keys, and its printer neither spaces nor escapes like Python's.
pub(crate) fn print(items: &[(&str, Item<'_>)]) -> Vec<u8> {
    let printed: Vec<String> = items
        .iter()
        .map(|(key, item)| {
            let value = match item {
                Item::Text(text) => print_text(text),
                Item::Number(number) => number.to_string(),
                Item::Texts(texts) => {
                    let texts: Vec<String> = texts.iter().map(|text| print_text(text)).collect();
                    format!("[{}]", texts.join(", "))
                }
            };
            format!("{}: {value}", print_text(key))
        })
        .collect();
    format!("{{{}}}", printed.join(", ")).into_bytes()
}

/// Reads one object; `None` is where Python raises an exception, which neither program catches.
///
/// A lone surrogate is refused here. Python reads one and fails when it prints it, which comes to the same.
pub(crate) fn read(datagram: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(datagram) {
        Ok(Value::Object(object)) => Some(object),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => {
            None
        }
    }
}

/// The string under a key that the program reads as `object[key]`.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

fn print_text(text: &str) -> String {
    let mut printed = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => printed.push_str("\\\""),
            '\\' => printed.push_str("\\\\"),
            '\n' => printed.push_str("\\n"),
            '\r' => printed.push_str("\\r"),
            '\t' => printed.push_str("\\t"),
            '\u{c}' => printed.push_str("\\f"),
            '\u{8}' => printed.push_str("\\b"),
            ' '..='~' => printed.push(character),
            _ => {
                // Two units past U+FFFF: Python escapes UTF-16, not code points.
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(printed, "\\u{unit:04x}").expect("a string takes whatever is written to it");
                }
            }
        }
    }
    printed.push('"');
    printed
}
