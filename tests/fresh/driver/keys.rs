//! The keys of a site's objects, most of which some encoder writes in its own way.
//!
//! Excluded: keys that begin with a slash and keys with a segment `.` or `..`. MiniStack removes the leading slash, and
//! browsers and curl remove the segments, so no viewer reaches such an object.

use super::soak::random::Random;

/// Pages that other objects refer to, and plain files.
const COMMON: [&str; 9] = [
    "index.html",
    "404.html",
    "about.html",
    "blog/index.html",
    "blog/post.html",
    "docs/guide/index.html",
    "docs/guide/start.html",
    "assets/app.js",
    "data.json",
];
const DIRECTORIES: [&str; 12] = [
    "",
    "",
    "",
    "blog/",
    "docs/",
    "docs/guide/",
    "assets/",
    "v1.2/",
    "two words/",
    "日本/",
    "a@b/",
    "(x)/",
];
const NAMES: [&str; 33] = [
    "index.html",
    "index.html",
    "index.html",
    "page.html",
    "plain",
    "a b.html",
    "naïve café.html",
    "日本語.html",
    "100%.html",
    "a%20b.html",
    "it's.html",
    "(draft).html",
    "a&b=c.html",
    "logo@2x.png",
    "#1.html",
    "{x}.json",
    "\"q\".html",
    "a,b;c.html",
    "back\\slash.html",
    ".hidden",
    "trailing.",
    "$price!.html",
    "<tag>.html",
    "grave`.html",
    "12:30.html",
    "é",
    "myindex.html",
    "a@b",
    "two words",
    "index.htm",
    "a.b.js",
    "folder/",
    "x=y.js",
];
/// CloudFront may ignore some encodings of these, so the function replaces them with wildcards.
const AMBIGUOUS_NAMES: [&str; 9] = [
    "c++.html",
    "~user.html",
    "[slug].html",
    "what?.html",
    "x^y.html",
    "a|b.html",
    "star*.html",
    "1+1 = 2.html",
    "[id]/index.html",
];
const ONE_IN_AMBIGUOUS: usize = 6;
const ONE_IN_RANDOM: usize = 4;
/// What random names are made of.
const FRAGMENTS: [&str; 40] = [
    " ", "!", "\"", "#", "$", "%", "&", "'", "(", ")", ",", "-", ".", ":", ";", "<", "=", ">", "@",
    "\\", "_", "`", "{", "}", "%2F", "%41", "é", "日", "e\u{301}", "🦀", "\u{a0}", "index", "html",
    "A", "z", "0", "x", "//", ".html", "y",
];

/// Returns different keys below the given prefixes, which are origin paths without their leading slash.
pub fn keys(
    random: &mut Random,
    prefixes: &[&str],
    count: usize,
    with_ambiguous: bool,
) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for prefix in prefixes {
        let path = |name: &str| in_prefix(prefix, name);
        keys.extend(COMMON.iter().map(|name| path(name)));
    }
    while keys.len() < count {
        let directory = random.pick(&DIRECTORIES);
        let name = if with_ambiguous && random.one_in(ONE_IN_AMBIGUOUS) {
            random.pick(&AMBIGUOUS_NAMES).to_owned()
        } else if random.one_in(ONE_IN_RANDOM) {
            random_name(random)
        } else {
            random.pick(&NAMES).to_owned()
        };
        let key = in_prefix(random.pick(prefixes), &format!("{directory}{name}"));
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn in_prefix(prefix: &str, name: &str) -> String {
    match prefix {
        "" => name.to_owned(),
        prefix => format!("{prefix}/{name}"),
    }
}

/// Returns a name of a few fragments. It begins with a letter, so that it is not a dot segment.
fn random_name(random: &mut Random) -> String {
    let count = 1 + random.below(4);
    let fragments: String = (0..count).map(|_| random.pick(&FRAGMENTS)).collect();
    let end = random.pick(&[".html", ".html", "", "x.js", "/index.html"]);
    format!("n{fragments}{end}")
}
