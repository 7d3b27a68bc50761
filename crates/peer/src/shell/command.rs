//! What a line typed into the shell asks for.
#![deny(clippy::disallowed_methods)]

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
    /// Unpublish a file.
    Unpublish(String),
    /// Search by a part of the name.
    Search(String),
    /// Tell about the session.
    Status,
    /// List the commands.
    Help,
    /// Leave.
    Quit,
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
}

/// The words for each command, the original's first, with what stands behind it and what it does.
pub const COMMANDS: [(&str, &str, &str, &str); 9] = [
    ("get", "", "NAME", "fetch a file into your folder"),
    ("lap", "peers", "", "list the members who are online"),
    ("lpf", "files", "", "list the files that you have published"),
    ("pub", "share", "NAME", "publish a file of your folder"),
    ("unp", "unshare", "NAME", "take a published file back"),
    ("sch", "search", "TEXT", "find published files by a part of their name"),
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
            "pub" | "share" => Self::Publish(name("pub")?),
            "unp" | "unshare" => Self::Unpublish(name("unp")?),
            "sch" | "search" => Self::Search(rest.to_owned()),
            "status" => Self::Status,
            "help" | "?" => Self::Help,
            "xit" | "quit" | "exit" => Self::Quit,
            _ => return Err(CommandError::Unknown),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_rest_of_the_line_and_may_have_spaces() {
        assert_eq!(Command::parse("  get  a b.txt "), Ok(Some(Command::Get("a b.txt".into()))));
        assert_eq!(Command::parse("sch"), Ok(Some(Command::Search(String::new()))));
        assert_eq!(Command::parse("search x"), Ok(Some(Command::Search("x".into()))));
        assert_eq!(Command::parse(" "), Ok(None));
    }

    #[test]
    fn what_is_no_command_is_told_apart_from_one_without_a_name() {
        assert_eq!(Command::parse("pub"), Err(CommandError::NoName("pub")));
        assert_eq!(Command::parse("gte x"), Err(CommandError::Unknown));
        assert_eq!(Command::parse("GET x"), Err(CommandError::Unknown));
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
