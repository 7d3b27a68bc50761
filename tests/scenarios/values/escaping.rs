//! Strings from afar, shown to people: nothing moves the cursor, hides or reorders (BT-2.1-2).

use bittrickle_wire::messages::{RefusalCode, Refused};
use bittrickle_wire::{Sentence, escaped};
use proptest::prelude::*;

use super::is_invisible;

/// Any text, with more of the characters that matter than chance would bring.
fn hostile_text() -> impl Strategy<Value = String> {
    let invisible: Vec<char> = ('\0'..='\u{e007f}').filter(|c| is_invisible(*c)).collect();
    let character = prop_oneof![
        3 => any::<char>(),
        2 => prop::sample::select(invisible),
        1 => prop::sample::select("\u{1b}\u{9b}\r\n\u{202e}\u{2066}\u{200b}\u{feff}".chars().collect::<Vec<_>>()),
        1 => prop::char::range(' ', '~'),
    ];
    prop::collection::vec(character, 0..300).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// BT-2.1-2
    #[test]
    fn an_escaped_text_has_no_invisible_character(text in hostile_text(), columns in 0..200_usize) {
        for shown in [escaped(&text).to_string(), escaped(&text).cut(columns).to_string()] {
            prop_assert!(!shown.contains(is_invisible), "{:?}", shown);
            prop_assert!(shown.lines().count() <= 1, "{:?} is one line", shown);
        }
    }

    /// BT-2.1-2: what was visible is shown as it is, in its place.
    #[test]
    fn an_escaped_text_shows_the_rest_as_it_is(text in hostile_text()) {
        let expected: String = text
            .chars()
            .map(|c| if is_invisible(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() })
            .collect();
        prop_assert_eq!(escaped(&text).to_string(), expected);
    }

    /// Narrow, wide and invisible characters, whose columns are known: never wider, and cut no earlier than needed.
    #[test]
    fn a_text_that_is_cut_fills_its_columns_and_no_more(
        text in "[a-zé日本語\u{1b}\u{202e}]{0,40}",
        columns in 1..60_usize,
    ) {
        let width = |c: char| match c {
            '\u{1b}' => "\\u{1b}".len(),
            '\u{202e}' => "\\u{202e}".len(),
            '日' | '本' | '語' => 2,
            _ => 1,
        };
        let shown = escaped(&text).cut(columns).to_string();
        let shown_width: usize = shown.chars().map(width).sum();
        prop_assert!(shown_width <= columns, "{:?} has {} columns", shown, shown_width);
        if text.chars().map(width).sum::<usize>() <= columns {
            prop_assert_eq!(shown, escaped(&text).to_string(), "what fits isn't cut");
        } else {
            prop_assert!(shown.ends_with('…'), "{:?}", shown);
            prop_assert!(shown_width + "\\u{202e}".len() > columns, "{:?} leaves room", shown);
        }
    }

    /// BT-2.1-4, BT-2.10-1: any words at all can be said in a refusal.
    #[test]
    fn any_text_makes_a_sentence(text in hostile_text()) {
        let refused = Refused::new(RefusalCode::MALFORMED, &text);
        prop_assert!(Sentence::new(refused.sentence.as_str()).is_ok());
        let fits = escaped(&text).to_string();
        if fits.len() <= 200 {
            prop_assert_eq!(refused.sentence.as_str(), fits);
        } else {
            prop_assert!(refused.sentence.as_str().len() > 200 - "\\u{e007f}".len(), "it is cut where it has to be");
        }
    }
}
