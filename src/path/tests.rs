//! The rules of a path as tables: what is sent for a key, how a user's text is parsed, and what covers what.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

fn path(text: &str) -> InvalidationPath {
    InvalidationPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn sent_for(key: &str) -> Vec<String> {
    InvalidationPath::from_object_key(key)
        .into_iter()
        .map(|path| path.to_string())
        .collect()
}

#[test]
fn sends_a_key_as_the_path_that_viewers_request() {
    for (key, paths) in [
        ("index.html", vec!["/index.html"]),
        ("blog/index.html", vec!["/blog/index.html"]),
        ("dir/", vec!["/dir/"]),
        ("/leading//double.html", vec!["//leading//double.html"]),
        ("..hidden/...", vec!["/..hidden/..."]),
        ("café/日本.html", vec!["/caf%C3%A9/%E6%97%A5%E6%9C%AC.html"]),
        // S3 keys are decoded once. A remaining percent sign is part of the name.
        ("100%.html", vec!["/100%25.html"]),
        ("100%25.html", vec!["/100%2525.html"]),
        (
            "issue #4.html",
            vec!["/issue%20%234.html", "/issue+%234.html"],
        ),
        (r#"a"b<c>d{e}f`g\h"#, vec!["/a%22b%3Cc%3Ed%7Be%7Df%60g%5Ch"]),
        ("my page.html", vec!["/my%20page.html", "/my+page.html"]),
        ("icon@2x.png", vec!["/icon@2x.png", "/icon%402x.png"]),
        (
            "photo (1).jpg",
            vec![
                "/photo%20(1).jpg",
                "/photo+(1).jpg",
                "/photo%20%281%29.jpg",
                "/photo+%281%29.jpg",
            ],
        ),
        (
            "a, b.html",
            vec![
                "/a,%20b.html",
                "/a,+b.html",
                "/a%2C%20b.html",
                "/a%2C+b.html",
            ],
        ),
        (
            "x'y@2.png",
            vec![
                "/x'y@2.png",
                "/x%27y%402.png",
                "/x'y%402.png",
                "/x%27y@2.png",
            ],
        ),
    ] {
        assert_eq!(sent_for(key), paths, "{key}");
    }
}

#[test]
fn ends_in_a_wildcard_before_an_ambiguous_encoding() {
    for (key, wildcard) in [
        ("a+b.html", "/a*"),
        ("runtime~main.js", "/runtime*"),
        ("a*b.html", "/a*"),
        ("what?.html", "/what*"),
        ("a[1].html", "/a*"),
        ("a|b", "/a*"),
        ("a^b", "/a*"),
        ("tab\there", "/tab*"),
        ("dir/../secret", "/dir/*"),
        ("dir/./x", "/dir/*"),
        ("é~", "/%C3%A9*"),
        // The wildcard must cover every spelling of its own prefix.
        ("my page~1.html", "/my*"),
        ("a@b~", "/a*"),
        // Eight spellings are too many to send.
        ("Q&A (2024).pdf", "/Q*"),
        ("~", "/*"),
        ("", "/*"),
    ] {
        assert_eq!(sent_for(key), [wildcard], "{key}");
    }
}

/// Returns the notes about the paths.
fn notes(paths: &EncodedPaths) -> Vec<String> {
    paths.widened.iter().map(ToString::to_string).collect()
}

#[test]
fn names_the_wildcard_of_a_key_and_the_true_reason() {
    for (key, note) in [
        (
            "~user/a.html",
            r#""/~user/a.html" widened to /*: CloudFront refuses ~"#,
        ),
        (
            "a+b.html",
            r#""/a+b.html" widened to /a*: S3 needs %2B for +, which CloudFront possibly does not match"#,
        ),
        (
            "what?.html",
            r#""/what?.html" widened to /what*: viewers need %3F for ?, which CloudFront possibly does not match"#,
        ),
        (
            "a*b.html",
            r#""/a*b.html" widened to /a*: CloudFront reads * as a wildcard"#,
        ),
        (
            "a[1].html",
            r#""/a[1].html" widened to /a*: viewers and CloudFront encode [ differently"#,
        ),
        (
            "tab\there",
            r#""/tab\there" widened to /tab*: CloudFront possibly does not match a control character"#,
        ),
        (
            "dir/../x",
            r#""/dir/../x" widened to /dir/*: browsers resolve . and .. segments"#,
        ),
        // The wildcard ends before the space, but the tilde is the reason.
        (
            "my page~1.html",
            r#""/my page~1.html" widened to /my*: CloudFront refuses ~"#,
        ),
        // The first of several reasons.
        ("a~b+c", r#""/a~b+c" widened to /a*: CloudFront refuses ~"#),
        (
            "Q&A (2024).pdf",
            r#""/Q&A (2024).pdf" widened to /Q*: it has more than 4 spellings"#,
        ),
        ("", r#""/" widened to /*: the key is empty"#),
    ] {
        assert_eq!(notes(&EncodedPaths::of_key(key)), [note]);
    }
    for key in ["index.html", "my page.html", "100%.html", "caf\u{e9}.html"] {
        assert_eq!(EncodedPaths::of_key(key).widened, [], "{key}");
    }
    let too_long = EncodedPaths::of_key(&"é".repeat(2_000));
    assert_eq!(
        notes(&too_long),
        [format!(
            "\"/{}\"… widened to /{}%C3…*: the encoded path has more than 4000 characters",
            "é".repeat(99),
            "%C3%A9".repeat(16),
        )]
    );
}

#[test]
fn names_the_wildcard_of_a_written_path_and_the_true_reason() {
    for (text, note) in [
        (
            " ~user/a.html",
            r#""/~user/a.html" widened to /*: CloudFront refuses ~"#,
        ),
        (
            "https://example.com/my page.html",
            r#""/my page.html" widened to /my*: viewers encode a space as %20 or as +"#,
        ),
        (
            "/runtime%7emain.js",
            r#""/runtime%7emain.js" widened to /runtime*: CloudFront possibly does not match the encoding %7e"#,
        ),
        (
            "/a|b/*",
            r#""/a|b/*" widened to /a*: viewers and CloudFront encode | differently"#,
        ),
        (
            "/a?b='c'",
            r#""/a?b='c'" widened to /a?b=*: viewers and CloudFront encode ' differently"#,
        ),
    ] {
        let paths = EncodedPaths::parse(text).expect(text);
        assert_eq!(notes(&paths), [note]);
        assert_eq!(paths.paths, [path(text)]);
    }
    for text in ["/blog/*", "/my%20page.html", "/my+page.html", "#tag", "/*"] {
        assert_eq!(EncodedPaths::parse(text), Ok(path(text).into()));
    }
}

#[test]
fn a_note_lists_five_widened_paths_and_counts_the_others() {
    let paths = |count: usize| -> EncodedPaths {
        let keys = (1..=count).map(|number| format!("{number}~"));
        keys.map(|key| EncodedPaths::of_key(&key)).collect()
    };
    assert_eq!(widened_note(&paths(0).widened), None);
    let five =
        (1..=5).map(|number| format!("\"/{number}~\" widened to /{number}*: CloudFront refuses ~"));
    let five = five.collect::<Vec<_>>().join("; ");
    assert_eq!(widened_note(&paths(5).widened), Some(five.clone()));
    assert_eq!(
        widened_note(&paths(1_200).widened),
        Some(format!("{five}; and 1,195 more"))
    );
}

#[test]
fn truncates_a_key_that_is_too_long_between_characters() {
    let key = "é".repeat(2_000);
    let sent = sent_for(&key);
    assert_eq!(sent, [format!("/{}*", "%C3%A9".repeat(666))]);
    assert!(sent[0].len() <= MAX_PATH_CHARACTERS);
}

#[test]
fn parses_a_path_that_a_user_wrote() {
    for (text, expected) in [
        ("/*", "/*"),
        ("/", "/"),
        ("index.html", "/index.html"),
        ("index.html?to=/a", "/index.html?to=/a"),
        ("example.com", "/example.com"),
        ("/example.com/a.html", "/example.com/a.html"),
        ("https://example.com/a.html", "/a.html"),
        ("blog/v1.2/a.html", "/blog/v1.2/a.html"),
        // No domain name begins with a dot.
        (".well-known/security.txt", "/.well-known/security.txt"),
        ("/blog/*", "/blog/*"),
        ("  /a.html \r\n", "/a.html"),
        ("/a?b=1", "/a?b=1"),
        ("?b=1", "/?b=1"),
        ("/a?b=1*", "/a?b=1*"),
        ("/a?b=c?d", "/a?b=c?d"),
        ("https://www.example.com/a/b.html", "/a/b.html"),
        ("HTTP://example.com", "/"),
        ("https://example.com?x=1", "/?x=1"),
        ("https://example.com/a?b=1#part", "/a?b=1"),
        ("https://example.com/*", "/*"),
        ("/go?to=https://example.com/", "/go?to=https://example.com/"),
        ("#product:42", "#product:42"),
        ("#Blog", "#Blog"),
        ("/café.html", "/caf%C3%A9.html"),
        ("/caf%C3%A9.html", "/caf%C3%A9.html"),
        ("/caf%c3%a9.html", "/caf%c3%a9.html"),
        ("/my%20page.html", "/my%20page.html"),
        ("/my+page.html", "/my+page.html"),
        ("/100%.html", "/100%25.html"),
        ("/100%25.html", "/100%25.html"),
        ("/5%zz", "/5%25zz"),
        ("/a@2x,b(1).png", "/a@2x,b(1).png"),
        // Ambiguous encodings: more is invalidated, never less.
        ("/my page.html", "/my*"),
        ("/runtime~main.js", "/runtime*"),
        ("/runtime%7Emain.js", "/runtime*"),
        ("/a%2Ab", "/a*"),
        ("/a%2Bb", "/a*"),
        ("/a[1].html", "/a*"),
        ("/%61bout.html", "/*"),
        ("/{a}?b={c}", "/%7Ba%7D?b=*"),
        ("/a?b='c'", "/a?b=*"),
    ] {
        assert_eq!(path(text).as_str(), expected, "{text}");
    }
}

#[test]
fn rejects_what_no_viewer_requests_with_advice() {
    for (text, message) in [
        ("", "the path is empty: write /* for everything"),
        (" \r\n", "the path is empty: write /* for everything"),
        (
            "/a*/b",
            r#""/a*/b" has a * before its end: CloudFront accepts a * only as the last character"#,
        ),
        (
            "/**",
            r#""/**" has a * before its end: CloudFront accepts a * only as the last character"#,
        ),
        (
            "/a#b",
            r##""/a#b" contains a #: remove the fragment, or write %23 for a # in a file name"##,
        ),
        (
            r"blog\index.html",
            r#""/blog\\index.html" contains a \: write / between folders, or %5C for a \ in a file name"#,
        ),
        (
            "/a\n/b",
            r#""/a\n/b" contains a control character: write one path per line"#,
        ),
        (
            "/a/../b",
            r#""/a/../b" contains a . or .. segment, which browsers resolve: write the resolved path"#,
        ),
        (
            "s3://bucket/key",
            r#""s3://bucket/key" is not an http or https URL: write only the path, such as /a.html"#,
        ),
        (
            "www.example.com/a.html",
            r#""www.example.com/a.html" looks like a URL without https://: write the full URL, or only the path, such as /a.html"#,
        ),
        (
            "example.com/a.html",
            r#""example.com/a.html" can begin with a domain name or with a folder: write https://example.com/a.html or /example.com/a.html"#,
        ),
        (
            " v1.2/* ",
            r#""v1.2/*" can begin with a domain name or with a folder: write https://v1.2/* or /v1.2/*"#,
        ),
        (
            "example.com:8443/",
            r#""example.com:8443/" can begin with a domain name or with a folder: write https://example.com:8443/ or /example.com:8443/"#,
        ),
        // Not a domain name, and the path has another error.
        (
            "a.b*/c",
            r#""/a.b*/c" has a * before its end: CloudFront accepts a * only as the last character"#,
        ),
        (
            "./a.html",
            r#""/./a.html" contains a . or .. segment, which browsers resolve: write the resolved path"#,
        ),
        (
            "//cdn.example.com/a.html",
            r#""//cdn.example.com/a.html" looks like a URL without https://: write the full URL, or only the path, such as /a.html"#,
        ),
        (
            "#a,b",
            r##""#a,b" is not a cache tag: write a # and 1 to 256 printable ASCII characters, without spaces, commas and *"##,
        ),
        (
            "#a*",
            r##""#a*" is not a cache tag: write a # and 1 to 256 printable ASCII characters, without spaces, commas and *"##,
        ),
        (
            "#",
            r##""#" is not a cache tag: write a # and 1 to 256 printable ASCII characters, without spaces, commas and *"##,
        ),
    ] {
        let error = InvalidationPath::parse(text).expect_err(text);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn rejects_invisible_characters_in_written_paths_only() {
    for character in [
        '\u{200b}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2060}', '\u{2064}',
        '\u{2066}', '\u{2069}', '\u{feff}',
    ] {
        for text in [
            format!("/a{character}.html"),
            format!("{character}/a.html"),
            format!("https://www.example.com/a{character}"),
            format!("/a?b={character}c"),
        ] {
            let error = PathError::Invisible(text.clone(), character);
            assert_eq!(InvalidationPath::parse(&text), Err(error), "{text:?}");
        }
    }
    let error = InvalidationPath::parse(" /a\u{200b}.html ").expect_err("an invisible character");
    assert_eq!(
        error.to_string(),
        r#""/a\u{200b}.html" contains the invisible character U+200B: remove it, or write %E2%80%8B if it belongs to the path"#
    );
    assert_eq!(path("/a%E2%80%8B.html").as_str(), "/a%E2%80%8B.html");
    // Some scripts need the joiners.
    assert_eq!(path("/\u{200c}\u{200d}").as_str(), "/%E2%80%8C%E2%80%8D");
    assert_eq!(sent_for("a\u{200b}"), ["/a%E2%80%8B"]);
}

#[test]
fn accepts_at_most_4000_characters_and_256_in_a_tag() {
    assert_eq!(
        path(&format!("/{}", "a".repeat(3_999))).as_str().len(),
        4_000
    );
    let error = InvalidationPath::parse(&format!("/{}", "é".repeat(667)));
    assert_eq!(error, Err(PathError::TooLong(4_003)));
    assert_eq!(
        PathError::TooLong(4_003).to_string(),
        "the encoded path has 4003 characters, more than the maximum of 4000: end it earlier with a *"
    );
    assert_eq!(path(&format!("#{}", "t".repeat(256))).as_str().len(), 257);
    let tag = format!("#{}", "t".repeat(257));
    assert_eq!(InvalidationPath::parse(&tag), Err(PathError::Tag(tag)));
}

#[test]
fn covers_what_it_certainly_invalidates() {
    for (wide, narrow, expected) in [
        ("/*", "/", true),
        ("/*", "/a/b", true),
        ("/*", "/a*", true),
        ("/*", "#tag", true),
        ("/", "/*", false),
        ("/", "/index.html", false),
        ("/a", "/a", true),
        ("/a", "/a?b=1", false),
        ("/a*", "/a", true),
        ("/a*", "/a?b=1", true),
        ("/a*", "/a*", true),
        ("/a*", "/ab*", true),
        ("/ab*", "/a*", false),
        // Intended or not: the prefix does not end at the end of a word.
        ("/tokio*", "/tokio-utils", true),
        ("/dir/*", "/dir/a", true),
        ("/dir/*", "/dir/*", true),
        ("/dir/*", "/dir*", false),
        ("/dir*", "/dir/*", true),
        ("/dir/*", "/dir", false),
        // Observed not to be invalidated, although the documentation implies it.
        ("/dir/*", "/dir/", false),
        ("/dir/*", "/dir/?a=1", false),
        ("/dir*", "/dir/", true),
        ("/A*", "/a", false),
        ("#tag", "#TAG", true),
        ("#tag", "#tags", false),
        ("#tag", "/tag", false),
        ("/a*", "#a", false),
    ] {
        assert_eq!(
            path(wide).covers(&path(narrow)),
            expected,
            "{wide} {narrow}"
        );
        let submitted = SubmittedPath::from(&path(wide));
        assert_eq!(submitted.covers(narrow), expected, "{wide} {narrow}");
    }
}

#[test]
fn a_submitted_path_covers_by_the_same_rules_without_validation() {
    for (submitted, path, expected) in [
        // Other tools submit paths that `parse` rejects or changes.
        ("/a~b.html", "/a~b.html", true),
        ("/a~b.html", "/a*", false),
        ("/my page.html", "/my%20page.html", false),
        ("/a*/b*", "/a*/b", true),
        ("/a*/b*", "/ax/b", false),
        ("/a*/b", "/a", false),
        ("index.html", "/index.html", false),
        ("images/*", "/images/a.png", false),
        ("*", "/", true),
        ("*", "/a/b", true),
        ("", "/", false),
        ("/DIR/*", "/dir/a", false),
        ("/dir/*", "/dir/?a=1", false),
        ("#a,b", "#A,B", true),
        ("#", "#a", false),
        ("/*", "anything", true),
    ] {
        let submitted = SubmittedPath::from(submitted.to_owned());
        assert_eq!(submitted.covers(path), expected, "{submitted:?} {path}");
    }
}

#[test]
fn a_submitted_path_keeps_its_text() {
    for (text, is_wildcard) in [
        ("/a~b.html", false),
        ("my page*", true),
        ("#Tag", false),
        ("", false),
    ] {
        let submitted: SubmittedPath =
            serde_json::from_value(serde_json::Value::from(text)).expect("a text");
        assert_eq!(submitted, SubmittedPath::from(text.to_owned()));
        assert_eq!(
            (submitted.as_str(), submitted.is_wildcard()),
            (text, is_wildcard)
        );
        assert_eq!(serde_json::to_value(&submitted).expect("JSON"), text);
    }
    let path = path("/blog/*");
    assert_eq!(SubmittedPath::from(&path).as_str(), "/blog/*");
}

#[test]
fn covers_query_strings_and_little_else() {
    for (text, expected) in [
        ("/a.html", vec!["/a.html*"]),
        ("/", vec!["/", "/?*"]),
        ("/dir/", vec!["/dir/", "/dir/?*"]),
        ("/about", vec!["/about", "/about?*"]),
        ("/a*", vec!["/a*"]),
        ("#t", vec!["#t"]),
    ] {
        let paths = path(text).with_query_strings();
        assert_eq!(
            paths
                .iter()
                .map(InvalidationPath::as_str)
                .collect::<Vec<_>>(),
            expected
        );
    }
    assert_eq!(InvalidationPath::root(), path("/"));
}

/// Returns a key as S3 clients encode it: everything but letters, digits and `-_.~/`.
fn as_s3_clients_spell(key: &str) -> String {
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'/');
    format!("/{}", utf8_percent_encode(key, UNRESERVED))
}

/// Returns a key as `encodeURIComponent` encodes each of its segments.
fn as_encode_uri_component_spells(key: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'!')
        .remove(b'~')
        .remove(b'*')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')')
        .remove(b'/');
    format!("/{}", utf8_percent_encode(key, ENCODED))
}

/// Returns a key as `url.PathEscape` of Go encodes each of its segments, except for a plus, which S3 decodes to a space.
fn as_go_spells(key: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'$')
        .remove(b'&')
        .remove(b':')
        .remove(b'=')
        .remove(b'@')
        .remove(b'/');
    format!("/{}", utf8_percent_encode(key, ENCODED))
}

/// Returns the path that a browser sends for a link to the key, or `None` if no link leads to this object.
fn as_browsers_spell(key: &str) -> Option<String> {
    let mut url = url::Url::parse("https://www.example.com/").ok()?;
    // A link's author must encode what would end the path or start a triple. The browser encodes the rest.
    let link: String = key
        .chars()
        .flat_map(|c| match c {
            '%' => "%25".chars().collect::<Vec<_>>(),
            '?' => "%3F".chars().collect(),
            '#' => "%23".chars().collect(),
            '\\' => "%5C".chars().collect(),
            c if c.is_ascii_control() => format!("%{:02X}", c as u32).chars().collect(),
            c => vec![c],
        })
        .collect();
    url.set_path(&link);
    let reached = percent_decode_str(&url.path()[1..]).decode_utf8().ok()?;
    (reached == key).then(|| url.path().to_owned())
}

fn assert_covers_every_spelling(key: &str) {
    let sent = InvalidationPath::from_object_key(key);
    let spellings = [
        Some(as_s3_clients_spell(key)),
        Some(as_encode_uri_component_spells(key)),
        Some(as_go_spells(key)),
        as_browsers_spell(key),
    ];
    for spelling in spellings.into_iter().flatten() {
        let requested = InvalidationPath(spelling.into());
        assert!(
            sent.iter().any(|path| path.covers(&requested)),
            "{key:?}: {requested} is not among {sent:?}"
        );
    }
    for path in &sent {
        assert!(path.as_str().len() <= MAX_PATH_CHARACTERS);
        assert!(
            path.as_str().bytes().all(|byte| byte.is_ascii_graphic()),
            "{path}"
        );
    }
}

#[test]
fn covers_every_spelling_of_a_hundred_odd_keys() {
    let mut keys: Vec<String> = (' '..='\u{7f}')
        .map(|c| format!("dir/a{c}b.html"))
        .collect();
    keys.extend((' '..='\u{7f}').map(|c| format!("{c}")));
    keys.extend(
        [
            "index.html",
            "a b+c.html",
            "photo (1).jpg",
            "photo (2) [draft].jpg",
            "C++ & C#.html",
            "100% sure?.html",
            "50%off.html",
            "%41.html",
            "%2e%2e/x",
            "wp-content/uploads/résumé.pdf",
            "e\u{301}.html",
            "日本/語 版.html",
            "emoji/🦀.svg",
            "rtl/\u{5e9}\u{5dc}.html",
            "zero\u{200b}width",
            "nbsp\u{a0}x",
            "\u{feff}bom",
            "a//b",
            "//a",
            "/",
            "a/",
            "a/.",
            "a/..",
            "./a",
            "../a",
            "a/../b",
            "...",
            ".well-known/x",
            " leading",
            "trailing ",
            "trailing.",
            "tab\tx",
            "line\nx",
            "cr\rx",
            "nul\0x",
            "del\u{7f}x",
            "node_modules/@scope/pkg/a.js",
            "runtime~main.3f2a.js",
            "a=b&c=d;e:f,g",
            "it's.html",
            "$RECYCLE.BIN/x",
            "Foo$Bar.html",
            "q?x=1",
            "frag#ment",
            "star*",
            "back\\slash",
            "pipe|d",
            "caret^",
            "{{template}}",
            "<tag>",
            "\"quoted\"",
            "`tick`",
        ]
        .map(String::from),
    );
    assert!(keys.len() > 200);
    for key in keys {
        assert_covers_every_spelling(&key);
    }
}

proptest! {
    #[test]
    fn decoding_the_path_of_a_key_gives_the_key_or_a_wildcard_over_it(key in "\\PC{1,40}|[ -~é/]{1,40}") {
        let sent = InvalidationPath::from_object_key(&key);
        let first = percent_decode_str(sent[0].as_str()).decode_utf8().unwrap().into_owned();
        let expected = format!("/{key}");
        match first.strip_suffix('*') {
            Some(prefix) => prop_assert!(expected.starts_with(prefix)),
            None => prop_assert_eq!(first, expected),
        }
        assert_covers_every_spelling(&key);
    }

    #[test]
    fn parsing_is_idempotent(text in "\\PC{0,40}|[ -~é]{0,40}|/[a-z%0-9A-F~ ]{0,20}") {
        if let Ok(parsed) = InvalidationPath::parse(&text) {
            prop_assert_eq!(InvalidationPath::parse(parsed.as_str()), Ok(parsed));
        }
    }

    #[test]
    fn an_index_finds_the_same_paths_as_a_comparison_with_each(
        submitted in proptest::collection::vec("[/#]?[aA/?]{0,6}\\*?", 0..12),
        path in "[/#][aA/?]{0,6}\\*?",
    ) {
        let submitted: Vec<_> = submitted.into_iter().map(SubmittedPath::from).collect();
        // A path that comes twice has the greatest of its values.
        let values = submitted.iter().enumerate().map(|(index, submitted)| (submitted.as_str(), index * 7 % 12));
        let index = PathIndex::new(values.clone());
        let covering = values.filter(|(submitted, _)| covers(submitted, &path));
        prop_assert_eq!(index.greatest_covering(&path), covering.map(|(_, value)| value).max());
    }

    #[test]
    fn covering_is_transitive(
        a in "/[ab/?]{0,4}\\*?", b in "/[ab/?]{0,4}\\*?", c in "/[ab/?]{0,4}\\*?"
    ) {
        let [a, b, c] = [a, b, c].map(|path| InvalidationPath(path.into()));
        prop_assert!(a.covers(&a));
        if a.covers(&b) && b.covers(&c) {
            // The one exception is the bare directory. Not to cover it is the safe side.
            let bare = a.0.strip_suffix('*').is_some_and(|prefix| c.0.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('?')));
            prop_assert!(a.covers(&c) || bare);
        }
    }
}
