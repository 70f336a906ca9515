//! Reads what people type, also on phones, and what Slack makes of it.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Command, String> {
    Command::parse(text).map_err(|error| error.to_string())
}

fn command(sites: &[&str], action: Action) -> Result<Command, String> {
    let sites = sites.iter().map(ToString::to_string).collect();
    Ok(Command { action, sites })
}

fn paths(texts: &[&str]) -> EncodedPaths {
    let paths = texts.iter().map(|text| EncodedPaths::parse(text));
    paths.collect::<Result<_, _>>().expect("paths")
}

#[test]
fn reads_each_command() {
    let status = |id: &str| Action::Status(Some(InvalidationId::new(id)));
    let invalidate = |texts: &[&str]| Action::Invalidate(paths(texts));
    let verify = |texts: &[&str]| Action::Verify(paths(texts));
    let cases: Vec<(&str, &[&str], Action)> = vec![
        ("", &[], Action::Default),
        (" \n ", &[], Action::Default),
        ("all", &[], Action::All),
        ("ALL", &[], Action::All),
        ("all all", &[], Action::All),
        ("Shop all", &["shop"], Action::All),
        ("all shop", &["shop"], Action::All),
        ("shop", &["shop"], Action::Default),
        ("shop Blog", &["shop", "blog"], Action::Default),
        ("shop shop /a", &["shop"], invalidate(&["/a"])),
        ("WWW.Example.com", &["www.example.com"], Action::Default),
        ("E2EXAMPLE1ABC all", &["E2EXAMPLE1ABC"], Action::All),
        ("e2example1abc all", &["e2example1abc"], Action::All),
        ("/blog/* #tag", &[], invalidate(&["/blog/*", "#tag"])),
        ("*", &[], invalidate(&["/*"])),
        (
            "www.example.com /a /b",
            &["www.example.com"],
            invalidate(&["/a", "/b"]),
        ),
        ("shop *", &["shop"], invalidate(&["/*"])),
        ("/a /a", &[], invalidate(&["/a", "/a"])),
        ("/all", &[], invalidate(&["/all"])),
        ("#all", &[], invalidate(&["#all"])),
        ("#a://b /a://b", &[], invalidate(&["#a://b", "/a://b"])),
        ("Status", &[], Action::Status(None)),
        ("status I2J0I21PCUYOIK", &[], status("I2J0I21PCUYOIK")),
        ("usage", &[], Action::Usage),
        ("verify /a /b/", &[], verify(&["/a", "/b/"])),
        ("verify shop /a", &["shop"], verify(&["/a"])),
        (
            "verify https://www.example.com/a",
            &["www.example.com"],
            verify(&["/a"]),
        ),
        ("help", &[], Action::Help),
        ("HELP status", &[], Action::Help),
        ("stauts", &["stauts"], Action::Default),
        ("plan", &["plan"], Action::Default),
    ];
    for (text, sites, action) in cases {
        assert_eq!(parse(text), command(sites, action), "{text}");
    }
}

#[test]
fn a_url_names_its_site() {
    for (text, texts) in [
        ("https://www.example.com/a", &["/a"][..]),
        ("HTTPS://WWW.Example.com/A", &["/A"]),
        ("http://www.example.com/", &["/"]),
        ("https://www.example.com/a#top", &["/a"]),
        ("https://www.example.com?page=1", &["/?page=1"]),
        ("https://www.example.com/a?b=1&amp;c=2", &["/a?b=1&c=2"]),
        ("https://www.example.com:8443/a", &["/a"]),
        ("www.example.com/a", &["/a"]),
        ("www.example.com/", &["/"]),
        ("www.example.com?page=1", &["/?page=1"]),
        ("https://www.example.com /a", &["/a", "/"]),
        ("https://www.example.com/a /b", &["/a", "/b"]),
        ("/b https://www.example.com/a", &["/b", "/a"]),
        ("/b https://www.example.com", &["/b", "/"]),
        ("https://www.example.com/a www.example.com/b", &["/a", "/b"]),
        ("WWW.example.com https://www.example.com/a", &["/a"]),
    ] {
        let action = Action::Invalidate(paths(texts));
        assert_eq!(parse(text), command(&["www.example.com"], action), "{text}");
    }
    for (text, action) in [
        (
            "verify https://www.example.com",
            Action::Verify(paths(&["/"])),
        ),
        ("https://www.example.com", Action::Default),
        ("https://www.example.com#top", Action::Default),
        ("https://www.example.com all", Action::All),
    ] {
        assert_eq!(parse(text), command(&["www.example.com"], action), "{text}");
    }
}

#[test]
fn undoes_what_slack_and_phones_do() {
    let invalidate = |texts: &[&str]| Action::Invalidate(paths(texts));
    let cases: Vec<(&str, &[&str], Action)> = vec![
        ("/a?b&amp;c", &[], invalidate(&["/a?b&c"])),
        ("/a&amp;lt;b", &[], invalidate(&["/a&lt;b"])),
        ("/a&lt;b&gt;", &[], invalidate(&["/a<b>"])),
        ("<https://x.y/z>", &["x.y"], invalidate(&["/z"])),
        (
            "<https://x.y/z?a&amp;b|https://x.y/z?a&amp;b>",
            &["x.y"],
            invalidate(&["/z?a&b"]),
        ),
        (
            "<http://www.example.com|www.example.com>",
            &["www.example.com"],
            Action::Default,
        ),
        (
            "<http://www.example.com/|www.example.com> all",
            &["www.example.com"],
            Action::All,
        ),
        (
            "<http://www.example.com|www.example.com> /a",
            &["www.example.com"],
            invalidate(&["/a"]),
        ),
        (
            "<http://www.example.com/a|www.example.com/a>",
            &["www.example.com"],
            invalidate(&["/a"]),
        ),
        (
            "<http://www.example.com/|www.example.com/>",
            &["www.example.com"],
            invalidate(&["/"]),
        ),
        // Slack links a part of a path.
        (
            "/files/<http://example.zip|example.zip>",
            &[],
            invalidate(&["/files/example.zip"]),
        ),
        (
            "/to/<http://www.example.com/a|www.example.com/a>",
            &[],
            invalidate(&["/to/www.example.com/a"]),
        ),
        // A link that was copied from a page.
        (
            "<https://www.example.com/a|our prices>",
            &["www.example.com"],
            invalidate(&["/a"]),
        ),
        (
            "<https://www.example.com/a|>",
            &["www.example.com"],
            invalidate(&["/a"]),
        ),
        ("<#C2147483705|news> /a", &[], invalidate(&["#news", "/a"])),
        ("<@U2147483697|ann>", &["@ann"], Action::Default),
        ("<@U2147483697>", &["@u2147483697"], Action::Default),
        ("<!channel>", &["!channel"], Action::Default),
        ("<!subteam^S1|team>", &["@team"], Action::Default),
        ("<mailto:ann@x.y|ann@x.y>", &["ann@x.y"], Action::Default),
        ("shop\u{a0}/a\u{a0}", &["shop"], invalidate(&["/a"])),
        (
            "/a\u{202f}/b\u{3000}/c",
            &[],
            invalidate(&["/a", "/b", "/c"]),
        ),
        ("\u{feff}a\u{200b}ll\u{200b}", &[], Action::All),
        ("\u{2066}/a\u{200b}b\u{2069}", &[], invalidate(&["/ab"])),
        ("\u{200b}", &[], Action::Default),
    ];
    for (text, sites, action) in cases {
        assert_eq!(parse(text), command(sites, action), "{text}");
    }
}

#[test]
fn both_spellings_of_smart_punctuation_are_invalidated() {
    for (typed, expected) in [
        ("/a—b.html", ["/a—b.html", "/a--b.html"]),
        ("/a–b…", ["/a–b…", "/a--b..."]),
        ("/it’s_“new”", ["/it’s_“new”", "/it's_\"new\""]),
    ] {
        let expected = command(&[], Action::Invalidate(paths(&expected)));
        assert_eq!(parse(typed), expected, "{typed}");
    }
}

#[test]
fn keeps_the_reason_of_a_widened_path() {
    let Ok(Command {
        action: Action::Invalidate(paths),
        ..
    }) = parse("/~ann/a")
    else {
        panic!("not an invalidation");
    };
    let widened: Vec<_> = paths.widened.iter().map(ToString::to_string).collect();
    assert_eq!(widened, ["\"/~ann/a\" widened to /*: CloudFront refuses ~"]);
}

#[test]
fn an_error_names_the_word_and_what_to_type() {
    for (text, error) in [
        (
            "all /a",
            "\"all\" cannot stand beside \"/a\": type all alone, or only the paths",
        ),
        (
            "/a All",
            "\"all\" cannot stand beside \"/a\": type all alone, or only the paths",
        ),
        (
            "all *",
            "\"all\" cannot stand beside \"*\": type all alone, or only the paths",
        ),
        ("usage /a", "\"/a\" cannot follow usage: type usage alone"),
        (
            "usage shop",
            "\"shop\" cannot follow usage: type usage alone",
        ),
        (
            "status I1 I2",
            "\"I2\" cannot follow status ID: type one id",
        ),
        (
            "status /a",
            "\"/a\" is neither a site nor the id of an invalidation, such as I2J0I21PCUYOIK: copy the id, or type status alone",
        ),
        (
            "shop Status",
            "\"Status\" has to be the first word: type status first",
        ),
        (
            "/a usage",
            "\"usage\" has to be the first word: type usage first",
        ),
        (
            "verify verify /a",
            "\"verify\" has to be the first word: type verify first",
        ),
        (
            "verify",
            "verify needs paths: type verify and the paths, such as verify /index.html",
        ),
        (
            "verify shop",
            "verify needs paths: type verify and the paths, such as verify /index.html",
        ),
        (
            "verify all",
            "verify needs paths, and \"all\" is none: type verify and the paths, such as verify /index.html",
        ),
        (
            "verify /a #tag",
            "\"#tag\" is not one page that can be verified: type verify and the paths, such as verify /index.html",
        ),
        (
            "verify /blog/*",
            "\"/blog/*\" is not one page that can be verified: type verify and the paths, such as verify /index.html",
        ),
        (
            "/my page.html",
            "\"page.html\" follows the path \"/my\": type the name of a site before the paths, and %20 for a space in a \
             path",
        ),
        (
            "/a plan",
            "\"plan\" follows the path \"/a\": type the name of a site before the paths, and %20 for a space in a path",
        ),
        (
            "blog/*",
            "\"blog/*\" is neither a site nor a path: type /blog/* with a / at its start",
        ),
        (
            "v1.2/app.js",
            "\"v1.2/app.js\" is neither a site nor a path: type /v1.2/app.js with a / at its start",
        ),
        (
            "https://a.example.com/x https://b.example.com/y",
            "the URLs belong to two sites, a.example.com and b.example.com: send a command for each site",
        ),
        (
            "https://a.example.com b.example.com/y",
            "the URLs belong to two sites, a.example.com and b.example.com: send a command for each site",
        ),
        (
            "shop https://www.example.com/a",
            "\"shop\" and the site of the URL, www.example.com, are two names: type only one of them, or send a command \
             for each site",
        ),
        (
            "/a,/b",
            "\"/a,/b\" contains several paths: type a space between them, or %2C for a comma and %3B for a semicolon in a path",
        ),
        (
            "/a, /b",
            "\"/a,\" ends with a comma: remove it, or write %2C if it belongs to the path",
        ),
        (
            "shop, /b",
            "\"shop,\" ends with a comma: remove it, or write %2C if it belongs to the path",
        ),
        ("“/a”", "\"“/a”\" starts with a quote: remove the quotes"),
        (
            "{\"paths\":[\"/*\"]}",
            "\"{\\\"paths\\\":[\\\"/*\\\"]}\" starts as JSON: type each path alone, with a / at its start",
        ),
        (
            "&lt;path&gt;",
            "\"<path>\" starts with <, as XML, HTML and placeholders do: write each path alone, with a / at its start",
        ),
        (
            "/a*b",
            "\"/a*b\" has a * before its end: CloudFront accepts a * only as the last character",
        ),
        (
            "https:///a",
            "\"https:///a\" has no host: if it comes from a variable, that variable is empty or not set",
        ),
        (
            "https://ann@/a",
            "\"https://ann@/a\" is not the URL of a page: type https://, the site and the path",
        ),
        (
            "ftp://www.example.com/a",
            "\"ftp://www.example.com/a\" is not the URL of a page: type https://, the site and the path",
        ),
        (
            "#a,b",
            "\"#a,b\" is not a cache tag: write a # and 1 to 256 printable ASCII characters, without spaces, commas and *",
        ),
        (
            "<#C2147483705>",
            "Slack replaced a cache tag by the channel of the same name: turn off \"Escape channels, users, and links\" \
             in the settings of the command",
        ),
    ] {
        assert_eq!(parse(text), Err(error.into()), "{text}");
    }
}

#[test]
fn a_command_has_at_most_a_hundred_paths_and_three_thousand_characters() {
    let hundred = vec!["/a"; 100];
    let action = Action::Invalidate(paths(&hundred));
    assert_eq!(parse(&hundred.join(" ")), command(&[], action));
    let more = "/a ".repeat(101);
    assert_eq!(
        parse(&more),
        Err("the command has 101 paths, more than 100: send several commands, or end a path with a *".into())
    );
    let longest = format!("/{}", "é".repeat(660));
    assert!(parse(&longest).is_ok());
    let blank = " ".repeat(3_000);
    assert_eq!(parse(&blank), command(&[], Action::Default));
    let longer = " ".repeat(3_001);
    assert_eq!(
        parse(&longer),
        Err(
            "the text has more than 3,000 characters: send several commands, or end paths with a *"
                .into()
        )
    );
}

#[test]
fn an_error_repeats_the_start_of_a_long_word() {
    let long = "é".repeat(100);
    let start = "é".repeat(60);
    assert_eq!(
        parse(&format!("usage {long}")),
        Err(format!(
            "\"{start}…\" cannot follow usage: type usage alone"
        ))
    );
}

#[test]
fn each_keyword_is_read() {
    for word in WORDS {
        assert_ne!(parse(word), command(&[word], Action::Default), "{word}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in any::<String>(),
        words in "(all|status|verify|usage|/a|#t|\\*|www\\.x\\.y|https?://|<|>|\\||&amp;|&lt;|/|\u{a0}|\u{200b}| ){0,12}",
    ) {
        for text in [text, words] {
            if let Ok(command) = Command::parse(&text) {
                let paths = match &command.action {
                    Action::Invalidate(paths) | Action::Verify(paths) => Some(paths),
                    _ => None,
                };
                prop_assert!(paths.is_none_or(|paths| !paths.paths.is_empty()));
                prop_assert!(command.sites.iter().all(|site| !site.is_empty() && !site.contains(char::is_whitespace)));
            }
        }
    }

    #[test]
    fn the_escapes_of_slack_change_nothing(path in "/[a-z&<>?=;]{0,12}[a-z]") {
        let escaped = crate::mrkdwn::escape(&path);
        prop_assert_eq!(parse(&escaped), command(&[], Action::Invalidate(paths(&[&path]))));
    }
}
