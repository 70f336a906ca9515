//! The part of the shell's grammar that snippets use: quotes, comments, continuation lines, operators, redirections and
//! `$(…)`. Here-documents and arithmetic are not supported.
//!
//! Rules: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html>

use std::mem;

/// A simple command: one program with its arguments, without redirections.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The line of its last word, counted from 0.
    pub line: usize,
    /// The program and its arguments without their quotes. Variables are not expanded.
    pub words: Vec<String>,
    /// Whether a word contains a `*` outside of quotes, which the shell replaces by file names.
    pub unquoted_star: bool,
}

/// Precede a command in a list or a condition.
const RESERVED: [&str; 9] = [
    "!", "{", "do", "elif", "else", "if", "then", "until", "while",
];

/// Stands for a redirection in the text that is split into words.
const REDIRECTION: &str = "\u{1}";

/// Returns the commands of a script, including those in `$(…)`.
///
/// # Errors
///
/// A message with the line if a quote or a parenthesis is not closed.
pub fn commands(script: &str) -> Result<Vec<Command>, String> {
    let mut script = script.to_owned();
    let mut commands = Vec::new();
    while let Some(start) = script.rfind("$(") {
        let line = script[..start].matches('\n').count();
        let length = closing(&script[start + 2..])
            .ok_or_else(|| format!("line {}: $( without )", line + 1))?;
        let inner = script[start + 2..start + 2 + length].to_owned();
        // The line breaks stay, so that the lines below keep their numbers.
        let replacement = format!("$SUBSTITUTED{}", "\\\n".repeat(inner.matches('\n').count()));
        script.replace_range(start..=start + 2 + length, &replacement);
        commands.extend(simple_commands(&inner, line)?);
    }
    commands.extend(simple_commands(&script, 0)?);
    Ok(commands)
}

/// Returns the position of the parenthesis that closes one before the text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.find(|c| match c {
        '(' => {
            depth += 1;
            false
        }
        ')' if depth > 0 => {
            depth -= 1;
            false
        }
        c => c == ')',
    })
}

/// Returns the commands of a script without `$(…)`.
fn simple_commands(script: &str, first_line: usize) -> Result<Vec<Command>, String> {
    let mut commands = Vec::new();
    let mut line = first_line;
    let mut raw = String::new();
    let mut unquoted_star = false;
    let mut finish = |raw: &mut String, line, star: &mut bool| {
        let text = mem::take(raw);
        let words = shlex::split(&text)
            .ok_or_else(|| format!("line {}: quote without its end", line + 1))?;
        let words = program_and_arguments(words);
        let unquoted_star = mem::take(star);
        if !words.is_empty() {
            commands.push(Command {
                line,
                words,
                unquoted_star,
            });
        }
        Ok::<_, String>(())
    };
    let mut quote = None;
    let mut characters = script.chars().peekable();
    while let Some(character) = characters.next() {
        let starts_word = raw.is_empty() || raw.ends_with(' ');
        match (quote, character) {
            (None | Some('"'), '\\') => match characters.next() {
                Some('\n') => line += 1,
                escaped => raw.extend(['\\'].into_iter().chain(escaped)),
            },
            (Some(end), _) => {
                raw.push(character);
                line += usize::from(character == '\n');
                if character == end {
                    quote = None;
                }
            }
            (None, '\'' | '"') => {
                raw.push(character);
                quote = Some(character);
            }
            (None, '#') if starts_word => {
                while characters.next_if(|&next| next != '\n').is_some() {}
            }
            (None, '<' | '>') if characters.peek() != Some(&'(') => {
                while characters.next_if(|next| "<>&|".contains(*next)).is_some() {}
                let descriptor =
                    raw.len() - raw.trim_end_matches(|c: char| c.is_ascii_digit()).len();
                raw.truncate(raw.len() - descriptor);
                raw += &format!(" {REDIRECTION} ");
            }
            (None, ';' | '|' | '&' | '(' | ')' | '<' | '>' | '\n') => {
                finish(&mut raw, line, &mut unquoted_star)?;
                line += usize::from(character == '\n');
            }
            (None, '\t') => raw.push(' '),
            (None, _) => {
                unquoted_star |= character == '*';
                raw.push(character);
            }
        }
    }
    finish(&mut raw, line, &mut unquoted_star)?;
    Ok(commands)
}

/// Drops redirections with their targets, and the assignments and reserved words before the program.
fn program_and_arguments(words: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == REDIRECTION {
            words.next();
        } else {
            kept.push(word);
        }
    }
    let is_assignment = |word: &str| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    };
    let program = kept
        .iter()
        .position(|word| !RESERVED.contains(&word.as_str()) && !is_assignment(word));
    kept.split_off(program.unwrap_or(kept.len()))
}

#[test]
fn splits_scripts_into_commands() {
    let script = r##"
# Don't read this.
aws s3 sync public "s3://$BUCKET" --delete > changes.txt && cf-invalidate create \
  '/a b' --wait || [ $? = 3 ] || echo "it's busy" >&2 # no command
if ! ID=$(cf-invalidate status "#tag" 2>/dev/null); then X=1 cf-invalidate list; fi
source <(cf-invalidate completions zsh)
printf '{
  "a": 1
}' | cf-invalidate create /blog/*"##;
    let commands = commands(script).expect("a script");
    let found: Vec<_> = commands
        .iter()
        .filter(|command| command.words[0] == "cf-invalidate")
        .map(|command| {
            (
                command.line,
                command.words[1..].join(" "),
                command.unquoted_star,
            )
        })
        .collect();
    let expected = [
        (4, "status #tag", false),
        (3, "create /a b --wait", false),
        (4, "list", false),
        (5, "completions zsh", false),
        (8, "create /blog/*", true),
    ];
    assert_eq!(
        found,
        expected.map(|(line, words, star)| (line, words.to_owned(), star))
    );
    for open in ["a\necho 'b", "a\necho $(b"] {
        assert!(super::shell::commands(open).is_err_and(|message| message.starts_with("line 2")));
    }
}
