//! Texts that cross the wire: each has a rule and a bound, checked once, when it is built (BT-2.1).
//!
//! A [`Text`] can't hold a value that breaks its rule, so nobody who is handed one checks it again.

mod entry_name;
mod escape;
mod extension;
mod file_name;
mod plain;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unicode_normalization::UnicodeNormalization as _;

pub use entry_name::{EntryName, EntryNameRule};
pub use escape::{Escaped, escaped};
pub use extension::{Extension, ExtensionRule};
pub use file_name::{FileName, FileNameRule, composed};
pub use plain::{
    MemberName, MemberNameRule, Password, PasswordRule, Query, QueryRule, Sentence, SentenceRule,
};

use crate::encoding::binary::{
    self, BinaryError, BorrowDecode, BorrowDecoder, Decode, Decoder, Encode, Encoder,
};

/// What a kind of text must satisfy.
pub trait Rule {
    /// What people call it, for error messages.
    const WHAT: &'static str;
    /// Most UTF-8 bytes.
    const BYTES_MAX: usize;
    /// Whether the text must stay out of logs and debug output.
    const SECRET: bool = false;
    /// Checks everything but the length.
    ///
    /// # Errors
    /// The first thing in `text` that breaks the rule.
    fn check(text: &str) -> Result<(), TextError>;
}

/// A text that satisfies the rule `R` and its length.
pub struct Text<R> {
    value: Box<str>,
    rule: PhantomData<R>,
}

/// Why a text is not acceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// The text has more UTF-8 bytes than its kind allows.
    #[error("it has {bytes} bytes, {bytes_max} are allowed")]
    TooLong {
        /// Bytes it has.
        bytes: usize,
        /// Bytes it may have.
        bytes_max: usize,
    },
    /// A control, bidirectional or zero-width character.
    #[error("it contains the invisible character U+{:04X}", *.0 as u32)]
    Invisible(char),
    /// A visible character that isn't allowed here.
    #[error("it contains {0:?}")]
    Forbidden(char),
    /// A character that is allowed, but not as the first one.
    #[error("it starts with {0:?}")]
    Start(char),
    /// A character that is allowed, but not as the last one.
    #[error("it ends with {0:?}")]
    End(char),
    /// A name that Windows keeps for a device.
    #[error("it is the name of a Windows device")]
    Device,
    /// Not in Unicode's normalization form C.
    #[error("it isn't in Unicode normalization form C")]
    NotNormalized,
}

impl<R: Rule> Text<R> {
    /// The text, checked.
    ///
    /// # Errors
    /// What is wrong with `text`, its length first: a long text isn't looked at.
    pub fn new(text: &str) -> Result<Self, TextError> {
        Self::check(text)?;
        Ok(Self { value: text.into(), rule: PhantomData })
    }

    /// The text, checked and taken without a copy.
    fn from_string(text: String) -> Result<Self, TextError> {
        Self::check(&text)?;
        Ok(Self { value: text.into(), rule: PhantomData })
    }

    fn check(text: &str) -> Result<(), TextError> {
        if text.len() > R::BYTES_MAX {
            return Err(TextError::TooLong { bytes: text.len(), bytes_max: R::BYTES_MAX });
        }
        R::check(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.value
    }
}

/// Whether a character can hide or reorder what stands around it: C0, C1, bidirectional controls, zero-width
/// characters, the line separators and the tag characters (BT-2.1-2).
#[must_use]
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The form in which names and queries are compared: normalization form C, each character in lower case by itself, and a
/// final sigma like any other, so that what contains a text still does when both are folded (BT-2.7-1).
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = text.nfc().flat_map(char::to_lowercase);
    lower.map(|character| if character == 'ς' { 'σ' } else { character }).collect()
}

fn check_visible(text: &str) -> Result<(), TextError> {
    match text.chars().find(|c| is_invisible(*c)) {
        Some(character) => Err(TextError::Invisible(character)),
        None => Ok(()),
    }
}

impl<R> Clone for Text<R> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), rule: PhantomData }
    }
}

impl<R: Rule> fmt::Debug for Text<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if R::SECRET { f.write_str("(secret)") } else { write!(f, "{:?}", &self.value) }
    }
}

impl<R> PartialEq for Text<R> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<R> Eq for Text<R> {}

impl<R> PartialOrd for Text<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Text<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}

impl<R> Hash for Text<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl<R> Borrow<str> for Text<R> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

impl<R: Rule> Serialize for Text<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.value)
    }
}

impl<'de, R: Rule> Deserialize<'de> for Text<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<R>(PhantomData<R>);

        impl<R: Rule> de::Visitor<'_> for Visitor<R> {
            type Value = Text<R>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} of at most {} bytes", R::WHAT, R::BYTES_MAX)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Text::new(text).map_err(|error| E::custom(format_args!("{}: {error}", R::WHAT)))
            }
        }

        deserializer.deserialize_str(Visitor(PhantomData))
    }
}

impl<R: Rule> Encode for Text<R> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.value.encode(encoder)
    }
}

impl<C, R: Rule> Decode<C> for Text<R> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        let text = binary::bounded_text(decoder, R::BYTES_MAX)?;
        Self::from_string(text).map_err(|error| BinaryError::OtherString(format!("{}: {error}", R::WHAT)))
    }
}

impl<'de, C, R: Rule> BorrowDecode<'de, C> for Text<R> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        Self::decode(decoder)
    }
}
