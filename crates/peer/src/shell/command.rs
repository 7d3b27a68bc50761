//! What a line typed into the shell asks for.
#![deny(clippy::disallowed_methods)]

use bittrickle_wire::messages::Filter;
use bittrickle_wire::{Extension, FileBytes, MemberName};

/// A command of the shell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// Fetch a file.
    Get(String),
    /// List the members who are online.
    Peers,
    /// List the own publications.
    Files,
    /// Publish a file.
    Publish(String),
    /// Publish every file.
    PublishAll,
    /// Unpublish a file.
    Unpublish(String),
    /// Search by a part of the name, and more.
    Search(SearchQuery),
    /// Tell about the session.
    Status,
    /// List the commands.
    Help,
    /// Leave.
    Quit,
}

/// What to search for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SearchQuery {
    /// A part of the name.
    pub text: String,
    /// What else must hold.
    pub filter: Filter,
}

/// Why a line is no command.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// No command of this name.
    #[error("unknown command; `help` lists them")]
    Unknown,
    /// The command needs the name of a file.
    #[error("which file? Usage: {0} NAME")]
    NoName(&'static str),
    /// A condition of a search that can't be understood.
    #[error("{0}: it needs {1}")]
    Condition(String, &'static str),
}

/// The words for each command, the original's first, with what stands behind it and what it does.
pub const COMMANDS: [(&str, &str, &str, &str); 9] = [
    ("get", "", "NAME", "fetch a file or folder: NAME, NAME@MEMBER, or its hash's first digits"),
    ("lap", "peers", "", "list the members who are online"),
    ("lpf", "files", "", "list the files that you have published"),
    ("pub", "share", "NAME", "publish a file or folder of your folder; `pub *` all in it"),
    ("unp", "unshare", "NAME", "take a published file back"),
    ("sch", "search", "TEXT", "find by parts of the name; also ext:iso min:1M max:4G by:MEMBER online:yes"),
    ("status", "", "", "show the server, this device, and whether the session is sealed"),
    ("help", "?", "", "show this"),
    ("xit", "quit", "", "leave"),
];

impl Command {
    /// Reads a line. `None` for an empty one.
    ///
    /// # Errors
    /// It is no command, or lacks what the command needs.
    pub fn parse(line: &str) -> Result<Option<Self>, CommandError> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        let name =
            |usage| if rest.is_empty() { Err(CommandError::NoName(usage)) } else { Ok(rest.to_owned()) };
        Ok(Some(match word {
            "" => return Ok(None),
            "get" => Self::Get(name("get")?),
            "lap" | "peers" => Self::Peers,
            "lpf" | "files" => Self::Files,
            // No file has this name (BT-2.1-3).
            "pub" | "share" if rest == "*" => Self::PublishAll,
            "pub" | "share" => Self::Publish(name("pub")?),
            "unp" | "unshare" => Self::Unpublish(name("unp")?),
            "sch" | "search" => Self::Search(SearchQuery::parse(rest)?),
            "status" => Self::Status,
            "help" | "?" => Self::Help,
            "xit" | "quit" | "exit" => Self::Quit,
            _ => return Err(CommandError::Unknown),
        }))
    }
}

impl SearchQuery {
    /// Reads what follows `sch`: words of the form `ext:`, `min:`, `max:`, `by:` and `online:` are conditions, the rest is the text.
    fn parse(rest: &str) -> Result<Self, CommandError> {
        let (mut text, mut filter) = (Vec::new(), Filter::default());
        for word in rest.split(' ') {
            let wrong = |needs| CommandError::Condition(word.to_owned(), needs);
            let bytes = |value: &str| {
                let bytes = parse_bytes(value).and_then(|bytes| FileBytes::new(bytes).ok());
                bytes.map(Some).ok_or_else(|| wrong("a size, such as 700K, 4M or 1G"))
            };
            match word.split_once(':') {
                Some(("ext", value)) => {
                    let extension = Extension::new(value.trim_start_matches('.'));
                    filter.extension = Some(extension.map_err(|_| wrong("an extension, such as iso"))?);
                }
                Some(("min", value)) => filter.bytes_min = bytes(value)?,
                Some(("max", value)) => filter.bytes_max = bytes(value)?,
                Some(("by", value)) => {
                    filter.member = Some(MemberName::new(value).map_err(|_| wrong("a member's name"))?);
                }
                Some(("online", "yes")) => filter.is_online = true,
                Some(("online", _)) => return Err(wrong("yes, for files that can be fetched now")),
                Some(_) | None => text.push(word),
            }
        }
        Ok(Self { text: text.join(" ").trim().to_owned(), filter })
    }
}

/// A number of bytes as people write it: digits, and K, M, G or T for powers of 1,024.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().next_back()? {
        (end, 'k' | 'K') => (&text[..end], 10),
        (end, 'm' | 'M') => (&text[..end], 20),
        (end, 'g' | 'G') => (&text[..end], 30),
        (end, 't' | 'T') => (&text[..end], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'))?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_rest_of_the_line_and_may_have_spaces() {
        assert_eq!(Command::parse("  get  a b.txt "), Ok(Some(Command::Get("a b.txt".into()))));
        assert_eq!(Command::parse("sch"), Ok(Some(Command::Search(SearchQuery::default()))));
        let x = SearchQuery { text: "x".into(), filter: Filter::default() };
        assert_eq!(Command::parse("search x"), Ok(Some(Command::Search(x))));
        assert_eq!(Command::parse(" "), Ok(None));
        assert_eq!(Command::parse("pub * "), Ok(Some(Command::PublishAll)));
        assert_eq!(Command::parse("pub *a"), Ok(Some(Command::Publish("*a".into()))));
    }

    #[test]
    fn what_is_no_command_is_told_apart_from_one_without_a_name() {
        assert_eq!(Command::parse("pub"), Err(CommandError::NoName("pub")));
        assert_eq!(Command::parse("gte x"), Err(CommandError::Unknown));
        assert_eq!(Command::parse("GET x"), Err(CommandError::Unknown));
    }

    #[test]
    fn a_search_takes_conditions_beside_its_text() {
        let Ok(Some(Command::Search(query))) =
            Command::parse("sch my disk ext:.ISO min:700K max:4g by:al online:yes")
        else {
            panic!("a search")
        };
        assert_eq!(query.text, "my disk");
        let Filter { is_online, extension, bytes_min, bytes_max, member, .. } = query.filter;
        assert!(is_online);
        assert_eq!(extension.unwrap().as_str(), "ISO");
        assert_eq!((bytes_min.unwrap().bytes(), bytes_max.unwrap().bytes()), (700 << 10, 4 << 30));
        assert_eq!(member.unwrap().as_str(), "al");
        for wrong in [
            "sch min:",
            "sch max:1X",
            "sch min:+1",
            "sch min:99999999999T",
            "sch ext:a/b",
            "sch by:",
            "sch online:",
        ] {
            assert!(matches!(Command::parse(wrong), Err(CommandError::Condition(..))), "{wrong}");
        }
    }

    #[test]
    fn every_listed_word_is_a_command() {
        for (word, alias, _, _) in COMMANDS {
            for word in [word, alias].into_iter().filter(|word| !word.is_empty()) {
                assert!(
                    Command::parse(&format!("{word} x")).is_ok_and(|command| command.is_some()),
                    "{word}"
                );
            }
        }
    }
}
