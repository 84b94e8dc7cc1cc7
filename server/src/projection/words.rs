//! Words for the search index: any part of a text is found, Chinese words of one or two characters too.
//!
//! Chinese has no spaces, so an index of words would find nothing within a sentence. Here every character
//! of a text is one token: the character with the one that follows it, and the last one alone. A search of
//! one character is the beginning of a token, a longer one a phrase of such pairs, so both are answered by
//! the index, and a phone number by any part of it. Words with a space between them are each looked for,
//! anywhere in a case. Letter case, full width (１ and 1) and spaces of a text do not count. In: text as
//! people wrote it. Out: tokens for FTS5's `unicode61`, told to take every character
//! but a space as part of a word. Invariants: no search reaches over the end of a value; nothing in a
//! search is an operator. Deliberately not here: a dictionary, simplified for traditional characters, rank.

/// The tokens of a value, each followed by a space.
pub(super) fn index(value: &str, tokens: &mut String) {
    let mut characters = plain(value).peekable();
    while let Some(character) = characters.next() {
        tokens.push(character);
        tokens.extend(characters.peek());
        tokens.push(' ');
    }
}

/// The FTS5 query that finds every word of a text; `None` where nothing is looked for.
pub(super) fn query(text: &str) -> Option<String> {
    let words: Vec<String> = text.split_whitespace().filter_map(word).collect();
    (!words.is_empty()).then(|| words.join(" AND "))
}

fn word(text: &str) -> Option<String> {
    let characters: Vec<char> = plain(text).collect();
    let quoted = |tokens: String| format!("\"{}\"", tokens.replace('"', "\"\""));
    match characters.as_slice() {
        [] => None,
        [one] => Some(format!("{} *", quoted(one.to_string()))),
        many => {
            let pairs = many.windows(2).map(|pair| pair.iter().collect::<String>());
            Some(quoted(pairs.collect::<Vec<_>>().join(" ")))
        }
    }
}

/// The characters that count: no spaces, nothing that is not shown, in lower case and half width.
fn plain(text: &str) -> impl Iterator<Item = char> {
    let shown = text.chars().filter(|c| !c.is_whitespace() && !c.is_control());
    shown.map(half_width).flat_map(char::to_lowercase)
}

/// ASCII for its full-width forms (U+FF01 to U+FF5E), which Chinese keyboards write.
fn half_width(c: char) -> char {
    match u32::from(c) {
        full @ 0xFF01..=0xFF5E => char::from_u32(full - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_a_token_with_the_one_after_it() {
        for (value, tokens) in
            [("", ""), ("桌", "桌 "), ("餐桌 Ａ1", "餐桌 桌a a1 1 "), ("B\n\0\"", "b\" \" ")]
        {
            let mut found = String::new();
            index(value, &mut found);
            assert_eq!(found, tokens, "{value:?}");
        }
    }
    #[test]
    fn a_search_is_a_beginning_or_a_phrase_and_never_an_operator() {
        for (text, expected) in [
            (" \0\u{3000}", None),
            ("桌", Some("\"桌\" *")),
            ("*", Some("\"*\" *")),
            ("\"", Some("\"\"\"\" *")),
            ("餐桌", Some("\"餐桌\"")),
            ("何女士\u{3000}餐桌", Some("\"何女 女士\" AND \"餐桌\"")),
            ("a OR b", Some("\"a\" * AND \"or\" AND \"b\" *")),
            ("x\" y", Some("\"x\"\"\" AND \"y\" *")),
        ] {
            assert_eq!(query(text).as_deref(), expected, "{text:?}");
        }
    }
}
