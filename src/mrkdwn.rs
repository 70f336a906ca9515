//! Text in Slack's markup, mrkdwn. A path, a key or the text of a person can contain `<!channel>` or a link: whatever is
//! posted goes through [`escape`] or [`code`], so that it mentions nobody and links nowhere.
//!
//! <https://docs.slack.dev/messaging/formatting-message-text>

use crate::path::is_invisible;

/// The most characters in a code span.
const MAX_CHARACTERS: usize = 200;

/// Returns the text without mentions and without links in Slack's form. Slack still formats `*`, `_`, `~` and backticks, and
/// links a bare URL; it does neither in [`code`].
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        push_escaped(&mut escaped, character);
    }
    escaped
}

/// Returns a code span, in which nothing is formatted. Backticks and characters that end a line or are not visible are
/// replaced, and a long text is cut. Slack needs a space or punctuation before and behind the span.
pub fn code(text: &str) -> String {
    let mut span = String::from("`");
    let mut characters = text.chars();
    for character in characters.by_ref().take(MAX_CHARACTERS) {
        push_escaped(&mut span, shown(character));
    }
    if characters.next().is_some() {
        span.push('…');
    }
    if text.is_empty() {
        // Slack shows two backticks as they are.
        span.push(' ');
    }
    span.push('`');
    span
}

/// Returns a sentence of this program as mrkdwn. Words in quotes, which a person or AWS wrote, become code spans, and no other
/// backtick opens one.
pub fn quotes_as_code(text: &str) -> String {
    let mut sentence = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        let Some((quoted, behind)) = split_quoted(after) else {
            break;
        };
        push_plain(&mut sentence, before);
        sentence.push_str(&code(&quoted));
        rest = behind;
    }
    push_plain(&mut sentence, rest);
    sentence
}

/// Splits a text behind its first quote that has no backslash before it. Returns the text before it without these backslashes.
fn split_quoted(text: &str) -> Option<(String, &str)> {
    let mut quoted = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some((quoted, characters.as_str())),
            '\\' if characters.as_str().starts_with(['"', '\\']) => {
                quoted.extend(characters.next());
            }
            _ => quoted.push(character),
        }
    }
    None
}

fn push_plain(sentence: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '`' => sentence.push('\''),
            _ => push_escaped(sentence, character),
        }
    }
}

/// Returns a block of text, in which nothing is formatted and lines stay. At most `max` characters of the text are in it.
pub fn block(text: &str, max: usize) -> String {
    let mut block = String::from("```\n");
    let mut characters = text.chars();
    for character in characters.by_ref().take(max) {
        match character {
            '\n' => block.push('\n'),
            _ => push_escaped(&mut block, shown(character)),
        }
    }
    if characters.next().is_some() {
        block.push('…');
    }
    block.push_str("\n```");
    block
}

fn push_escaped(escaped: &mut String, character: char) {
    match character {
        '&' => escaped.push_str("&amp;"),
        '<' => escaped.push_str("&lt;"),
        '>' => escaped.push_str("&gt;"),
        _ => escaped.push(character),
    }
}

fn shown(character: char) -> char {
    match character {
        '`' => '\'',
        '\u{2028}' | '\u{2029}' => char::REPLACEMENT_CHARACTER,
        _ if character.is_control() || is_invisible(character) => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_what_mentions_and_links() {
        for (text, escaped) in [
            ("", ""),
            ("<!channel> a", "&lt;!channel&gt; a"),
            ("<https://evil.test|/a>", "&lt;https://evil.test|/a&gt;"),
            ("a&amp;b", "a&amp;amp;b"),
            ("*bold* `code` ü", "*bold* `code` ü"),
        ] {
            assert_eq!(escape(text), escaped, "{text}");
        }
    }

    #[test]
    fn nothing_ends_a_code_span() {
        for (text, span) in [
            ("", "` `"),
            ("/blog/*", "`/blog/*`"),
            ("<!here>", "`&lt;!here&gt;`"),
            ("/a` <!here> `b", "`/a' &lt;!here&gt; 'b`"),
            ("```", "`'''`"),
            ("a\nb\r\tc\0", "`a�b��c�`"),
            ("a\u{2028}b\u{202e}c\u{200b}", "`a�b�c�`"),
            ("日本", "`日本`"),
        ] {
            assert_eq!(code(text), span, "{text:?}");
        }
    }

    #[test]
    fn quoted_words_of_a_sentence_are_code() {
        for (text, expected) in [
            ("", ""),
            ("type `all` & <more>", "type 'all' &amp; &lt;more&gt;"),
            ("\"/a*\" follows \"*b*\": a", "`/a*` follows `*b*`: a"),
            (r#""\"`/a\\b\"" is one"#, "`\"'/a\\b\"` is one"),
            (r#""\u{200b}\n<!here>""#, "`\\u{200b}\\n&lt;!here&gt;`"),
            ("an \"open `quote", "an \"open 'quote"),
            (r#"a "b\"#, r#"a "b\"#),
        ] {
            assert_eq!(quotes_as_code(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let whole = "é".repeat(200);
        assert_eq!(code(&whole), format!("`{whole}`"));
        assert_eq!(code(&format!("{whole}x")), format!("`{whole}…`"));
        let ampersands = "&".repeat(201);
        assert_eq!(code(&ampersands), format!("`{}…`", "&amp;".repeat(200)));
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_code_span(text in any::<String>()) {
            let span = code(&text);
            let inner = span.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            let inner = inner.expect("a span");
            prop_assert!(!inner.is_empty());
            prop_assert!(!inner.contains(['`', '<', '>', '\n', '\r']), "{}", span);
            prop_assert!(!escape(&text).contains(['<', '>']));
            let sentence = quotes_as_code(&format!("{text:?} and {text}"));
            prop_assert!(!sentence.contains(['<', '>']), "{}", sentence);
            prop_assert!(sentence.matches('`').count().is_multiple_of(2), "{}", sentence);
        }
    }
}
