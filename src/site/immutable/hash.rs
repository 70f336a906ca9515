//! Whether the name of a file contains a hash of its content.
//!
//! Bundlers write a hash as 8 or more hexadecimal digits (webpack, older Rollup), as 8 characters of URL-safe Base64
//! ([Rollup](https://rollupjs.org/configuration-options/#output-hashcharacters)), or as 13 characters of an alphabet of its own
//! (Turbopack). Words can have the same length, such as `overview` and `HomePage`. So a text counts as a hash only if it does
//! not read like words and numbers: some part of it is a single letter or has no vowel. Some hashes read like words by
//! chance (2 to 4 %), and are then treated as if their files changed.

/// The number of characters of Rollup's hashes.
const ROLLUP_HASH: usize = 8;

/// The extensions of images, whose names Astro makes of the original name and the transformation.
const IMAGES: [&str; 8] = ["avif", "gif", "jpeg", "jpg", "png", "svg", "tiff", "webp"];

/// The number of characters of Turbopack's hashes.
const TURBOPACK_HASH: usize = 13;

/// The minimum number of words and numbers in a hash of Turbopack. The name `404-not-found` has the same length, and three of
/// them.
const MIN_TURBOPACK_PARTS: usize = 4;

/// The number of characters of the random build ids of Next.js, which nanoid generates.
const BUILD_ID: usize = 21;

/// The beginning of the build id that Next.js 16.2 uses for all builds with a deployment id.
const CONSTANT_BUILD_ID: &str = "build-";

/// How often a random id changes at least between capitals, small letters and digits without a separator between them. 99.9 %
/// of nanoid's ids do, and hardly a name that somebody chose.
const MIN_BUILD_ID_CHANGES: usize = 3;

/// Returns whether the name has a hash in hexadecimal digits, as in `main-523898890af96c58.js`, `1212233ee98d7dc5.css`,
/// `logo.c68b797c.png` or `4473ecc91f70f139-s.p.woff`.
pub(super) fn has_hex_hash(name: &str) -> bool {
    without_extension(name).is_some_and(|name| name.split(['.', '-']).any(is_hex_hash))
}

/// Returns whether the name has a hash between two dots, as in `index.DRf8L97S.css`, `hero.DlKDY3ml_ZvbIwv.webp` (an image
/// with the hash of its transformation) or `hoisted.2361d08b.js`.
///
/// In the name of an image, a `_` is only before the hash of the transformation: `banner.de_2kYQr.webp` is an image of another site
/// without a hash of its content.
pub(super) fn has_hash_after_dot(name: &str) -> bool {
    let (name, extension) = name.rsplit_once('.').unwrap_or_default();
    let is_image = IMAGES.contains(&extension);
    name.split('.').skip(1).any(|part| {
        let hash = part.get(..ROLLUP_HASH).unwrap_or_default();
        let rest = part.get(ROLLUP_HASH..).unwrap_or_default();
        let is_transformed = |rest: &str| {
            let transformation = rest.strip_prefix('_').unwrap_or_default();
            (4..=8).contains(&transformation.len())
                && transformation
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_ambiguous = is_image && hash.contains('_');
        let has_rollup_hash =
            is_rollup_hash(hash, 3) && !is_ambiguous && (rest.is_empty() || is_transformed(rest));
        has_rollup_hash || is_hex_hash(part)
    })
}

/// Returns whether the name, or a part of it before a dot, is a hash or ends in one behind a hyphen, as in `BTXdFNo4.js`,
/// `worker-CFm9SEez.js` and `entry-2d6bb7c5.mjs`. `shortest_word` is the number of letters of the shortest words that can be in
/// the names of the site.
pub(super) fn has_hash_at_end(name: &str, shortest_word: usize) -> bool {
    let name = without_extension(name).unwrap_or_default();
    name.split('.').any(|part| {
        let start = part.len().saturating_sub(ROLLUP_HASH);
        let (before, hash) = part.split_at_checked(start).unwrap_or_default();
        let is_separate = before.is_empty() || before.ends_with('-');
        is_separate && is_rollup_hash(hash, shortest_word)
            || part.rsplit('-').next().is_some_and(is_hex_hash)
    })
}

/// Returns whether the name has the form of names with a hash of Rollup, although it can be a word.
pub(super) fn has_form_of_hash(name: &str) -> bool {
    let Some((_, hash)) = without_extension(name).and_then(|name| {
        let start = name.len().saturating_sub(ROLLUP_HASH);
        name.split_at_checked(start)
            .filter(|(before, _)| before.is_empty() || before.ends_with(['-', '.']))
    }) else {
        return false;
    };
    hash.len() == ROLLUP_HASH && hash.bytes().all(is_base64)
}

/// Returns whether the name has a hash of Turbopack, as in `04krbzd2lmnmg.js`, `turbopack-164lj7fr~s_z4.js` or
/// `icon.1v5cwft9ue97g.svg`. It is a number of 128 bits, so its first digit is small.
pub(super) fn has_turbopack_hash(name: &str) -> bool {
    let name = without_extension(name).unwrap_or_default();
    let start = name.len().saturating_sub(TURBOPACK_HASH);
    let (before, hash) = name.split_at_checked(start).unwrap_or_default();
    let is_separate = before.is_empty() || before.ends_with(['-', '.']);
    let is_in_alphabet =
        |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_' | b'-' | b'~' | b'.');
    hash.len() == TURBOPACK_HASH
        && is_separate
        && hash.starts_with(['0', '1', '2', '3', '4'])
        && hash.bytes().all(is_in_alphabet)
        && (!reads_like_words(hash, 2) || word_count(hash) >= MIN_TURBOPACK_PARTS)
}

/// Returns whether the text is a random build id of Next.js, such as `szPy3Pa1MS24E1-7nXChS`.
pub(super) fn is_random_id(text: &str) -> bool {
    let between_separators = text.split(['-', '_']).filter(|part| !part.is_empty());
    let changes = word_count(text).saturating_sub(between_separators.count());
    text.len() == BUILD_ID
        && text.bytes().all(is_base64)
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && !text.starts_with(CONSTANT_BUILD_ID)
        && !reads_like_words(text, 2)
        && changes >= MIN_BUILD_ID_CHANGES
}

fn without_extension(name: &str) -> Option<&str> {
    let (name, _extension) = name.rsplit_once('.')?;
    Some(name)
}

/// Returns whether the text is a hash in hexadecimal digits. Digits alone can be a date.
fn is_hex_hash(text: &str) -> bool {
    text.len() >= 8
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn is_rollup_hash(text: &str, shortest_word: usize) -> bool {
    let has = |is_class: fn(&u8) -> bool| text.bytes().any(|byte| is_class(&byte));
    let (upper, digit) = (has(u8::is_ascii_uppercase), has(u8::is_ascii_digit));
    let is_mixed = || upper && has(u8::is_ascii_lowercase) || parts(text).len() > 2;
    text.len() == ROLLUP_HASH
        && text.bytes().all(is_base64)
        && (upper || digit)
        && is_mixed()
        && !reads_like_words(text, shortest_word)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Returns whether each part of the text is a separator, a number, a word, or the capitals before a word as in `HTMLPage`. A word
/// has a vowel, and at least as many letters as the shortest word.
fn reads_like_words(text: &str, shortest_word: usize) -> bool {
    const VOWELS: [char; 12] = ['a', 'e', 'i', 'o', 'u', 'y', 'A', 'E', 'I', 'O', 'U', 'Y'];
    let is_word = |part: &str| part.len() >= shortest_word && part.contains(VOWELS);
    let parts = parts(text);
    parts.iter().enumerate().all(|(index, part)| {
        let has_letters = part.bytes().any(|byte| byte.is_ascii_alphabetic());
        let next = parts.get(index + 1).copied().unwrap_or_default();
        let is_acronym = part.len() > 1
            && part.bytes().all(|byte| byte.is_ascii_uppercase())
            && next.starts_with(|next: char| next.is_ascii_uppercase())
            && next.len() > 2
            && is_word(next);
        !has_letters || is_word(part) || is_acronym
    })
}

/// Returns the number of words and numbers, without separators.
fn word_count(text: &str) -> usize {
    let is_word = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    parts(text).into_iter().filter(is_word).count()
}

/// Divides an ASCII text where capitals, small letters, digits and other characters change, and before a capital with which a
/// word begins: `QRCode12` has the parts `QR`, `Code` and `12`.
fn parts(text: &str) -> Vec<&str> {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Class {
        Upper,
        Lower,
        Digit,
        Other,
    }
    let class = |byte: &u8| match byte {
        b'A'..=b'Z' => Class::Upper,
        b'a'..=b'z' => Class::Lower,
        b'0'..=b'9' => Class::Digit,
        _ => Class::Other,
    };
    let classes: Vec<_> = text.as_bytes().iter().map(class).collect();
    let mut parts = Vec::new();
    let mut start = 0;
    for (index, pair) in classes.windows(2).enumerate() {
        let next = index + 1;
        let is_boundary = match pair {
            [Class::Upper, Class::Lower] => false,
            [Class::Upper, Class::Upper] => classes.get(next + 1) == Some(&Class::Lower),
            [left, right] => left != right,
            _ => false,
        };
        if is_boundary {
            parts.extend(text.get(start..next));
            start = next;
        }
    }
    parts.extend(text.get(start..));
    parts
}
