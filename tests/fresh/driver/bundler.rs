//! Sites of bundlers: files whose names contain a hash of their content, and entry pages that name these files.
//!
//! The content of such a file follows from its key, so a copy of it never becomes stale. An entry page changes with the
//! files that it names. Each build keeps some files; a deploy writes what is different. Some owners delete what the build does
//! not have, as `aws s3 sync --delete` does, others leave it for open pages.
//!
//! Names of files: builds of Next.js 16, Astro 5, Nuxt 4 and SvelteKit 2.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::plan::Change;
use super::soak::random::Random;

/// Files that builds copy as they are. A page for errors that names a new file in each build would hide what happens to
/// cached errors, because CloudFront's copies of it are dropped with everything else.
const COPIED: [&str; 2] = [ROBOTS, "404.html"];
const ROBOTS: &str = "robots.txt";
const PAGES: [&str; 4] = [
    "index.html",
    "about/index.html",
    "blog/index.html",
    "pricing/index.html",
];
/// The files that every page names. The others belong to one page each.
const SHARED: usize = 2;
const FILES: usize = SHARED + PAGES.len();
const ONE_IN_CHANGED_SHARED: usize = 6;
const ONE_IN_CHANGED_OWN: usize = 3;
/// A checkout in a build system is newer than the objects, so a sync uploads unchanged files too.
const ONE_IN_UPLOADED_AGAIN: usize = 4;
const ONE_IN_ANY_HASH: usize = 6;
/// The first word of the content that follows from the key.
const IMMUTABLE: &str = "immutable";
const COMPRESSIBLE_BYTES: usize = 1_000;
const ONE_IN_COMPRESSIBLE: usize = 3;

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX_LENGTH: usize = 16;
const BASE64URL_LENGTH: usize = 8;
const BUILD_ID_LENGTH: usize = 21;
/// How often a hash and a build id change at least between capitals, small letters and digits if they can be nothing else.
const MIN_CHANGES_IN_HASH: usize = 4;
const MIN_CHANGES_IN_BUILD_ID: usize = 14;
const VOWELS: [char; 12] = ['a', 'e', 'i', 'o', 'u', 'y', 'A', 'E', 'I', 'O', 'U', 'Y'];

/// The site of a bundler below a path of the distribution.
#[derive(Clone, Copy, Debug)]
pub struct Bundler {
    pub framework: Framework,
    /// The path of the site: empty, or with a final slash.
    pub base: &'static str,
    /// Whether a deploy deletes the files that the build does not have.
    pub deletes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framework {
    /// `output: "export"`, with a random build id.
    Next,
    /// The same with a deployment id: the build id is a constant.
    NextWithDeploymentId,
    Astro,
    Nuxt,
    SvelteKit,
}

/// The keys and contents of a bundler's site over several builds.
#[derive(Clone, Debug)]
pub struct Builds {
    builds: Vec<BTreeMap<String, String>>,
    deletes: bool,
}

/// What distinguishes the builds of a site.
#[derive(Clone, Debug)]
struct Build {
    /// What the names contain in place of `HASH`.
    hashes: [String; FILES],
    /// What names and contents contain in place of `ID`.
    id: String,
}

impl Bundler {
    /// Plans the builds of a site in a folder of the bucket: the first one, and one for each deploy.
    pub fn plan(self, random: &mut Random, folder: &str, deploys: usize) -> Builds {
        let mut build = Build::new(random, self.framework);
        let mut builds = vec![self.objects(folder, &build)];
        for _ in 0..deploys {
            build = build.next(random, self.framework);
            builds.push(self.objects(folder, &build));
        }
        Builds {
            builds,
            deletes: self.deletes,
        }
    }

    /// Returns the paths of the entry pages.
    pub fn pages(self) -> Vec<String> {
        let pages = PAGES.iter();
        pages.map(|page| format!("/{}{page}", self.base)).collect()
    }

    /// Returns the objects of a build with their contents.
    fn objects(self, folder: &str, build: &Build) -> BTreeMap<String, String> {
        let folder = match folder {
            "" => self.base.to_owned(),
            folder => format!("{folder}/{}", self.base),
        };
        let files = self.framework.files().into_iter().zip(&build.hashes);
        let files: Vec<String> = files
            .map(|(name, hash)| name.replace("HASH", hash))
            .collect();
        let with_id = |names: &[&str]| -> Vec<String> {
            let names = names.iter();
            names.map(|name| name.replace("ID", &build.id)).collect()
        };
        let of_build = with_id(self.framework.files_of_build());
        let scripts = with_id(self.framework.scripts_of_build());
        let copied = COPIED.map(|name| (name.to_owned(), format!("the owner's {name}")));
        let mut objects = BTreeMap::from(copied);
        for name in self.framework.files_in_place() {
            objects.insert((*name).to_owned(), format!("{{\"build\": {:?}}}", build.id));
        }
        for (index, page) in PAGES.into_iter().enumerate() {
            let own = [&files[SHARED + index]];
            let named = files[..SHARED].iter().chain(own).chain(&scripts);
            let tags = named.map(|name| format!("<script src=\"{}\">\n", self.url(name)));
            objects.insert(page.to_owned(), tags.collect());
        }
        let mutable = objects
            .into_iter()
            .map(|(name, content)| (format!("{folder}{name}"), content));
        let immutable = files.iter().chain(&of_build).map(|name| {
            let key = format!("{folder}{name}");
            let content = immutable_content(&key);
            (key, content)
        });
        mutable.chain(immutable).collect()
    }

    fn url(self, name: &str) -> String {
        let name = name.replace('[', "%5B").replace(']', "%5D");
        format!("/{}{name}", self.base)
    }
}

impl Builds {
    /// Returns all keys, that of a mutable object which no build changes first.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for key in self.builds.iter().flat_map(BTreeMap::keys) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys.sort_by_key(|key| !key.ends_with(ROBOTS));
        keys
    }

    /// Returns the changes that upload the first build.
    pub fn first(&self) -> Vec<Change> {
        self.builds[0].iter().map(write).collect()
    }

    /// Returns the changes of a deploy in one of the orders in which tools make them.
    pub fn changes(&self, random: &mut Random, deploy: usize) -> Vec<Change> {
        let (before, after) = (&self.builds[deploy], &self.builds[deploy + 1]);
        let written = after.iter().filter(|(key, content)| {
            before.get(*key) != Some(content)
                || (!is_page(key) && random.one_in(ONE_IN_UPLOADED_AGAIN))
        });
        let mut changes: Vec<Change> = written.map(write).collect();
        let deleted = before.keys().filter(|key| !after.contains_key(*key));
        if self.deletes {
            changes.extend(deleted.cloned().map(Change::Delete));
        }
        let is_delete = |change: &Change| matches!(change, Change::Delete(_));
        match random.below(3) {
            0 => changes.sort_by_key(|change| (is_delete(change), is_page(change.key()))),
            1 => changes.sort_by_key(|change| (is_delete(change), !is_page(change.key()))),
            _ => random.shuffle(&mut changes),
        }
        changes
    }
}

impl Build {
    fn new(random: &mut Random, framework: Framework) -> Self {
        Self {
            hashes: std::array::from_fn(|_| framework.hash(random)),
            id: framework.id(random),
        }
    }

    /// Returns the next build, in which the file of at least one page is different.
    fn next(&self, random: &mut Random, framework: Framework) -> Self {
        let mut hashes = self.hashes.clone();
        let changed = SHARED + random.below(PAGES.len());
        for (index, hash) in hashes.iter_mut().enumerate() {
            let one_in = if index < SHARED {
                ONE_IN_CHANGED_SHARED
            } else {
                ONE_IN_CHANGED_OWN
            };
            if index == changed || random.one_in(one_in) {
                *hash = framework.hash(random);
            }
        }
        let id = framework.id(random);
        Self { hashes, id }
    }
}

impl Framework {
    /// Returns the names of the files that a page names: those of all pages, and one for each page.
    fn files(self) -> [&'static str; FILES] {
        match self {
            Self::Next | Self::NextWithDeploymentId => [
                "_next/static/chunks/framework-HASH.js",
                "_next/static/css/HASH.css",
                "_next/static/chunks/app/page-HASH.js",
                "_next/static/chunks/app/about/page-HASH.js",
                "_next/static/chunks/app/blog/[slug]/page-HASH.js",
                "_next/static/chunks/app/pricing/page-HASH.js",
            ],
            Self::Astro => [
                "_astro/client.HASH.js",
                "_astro/Layout.HASH.css",
                "_astro/index.HASH.css",
                "_astro/about.HASH.css",
                "_astro/Counter.HASH.js",
                "_astro/pricing.HASH.css",
            ],
            Self::Nuxt => [
                "_nuxt/entry.HASH.css",
                "_nuxt/HASH.js",
                "_nuxt/HASH.js",
                "_nuxt/about.HASH.css",
                "_nuxt/HASH.js",
                "_nuxt/pricing.HASH.css",
            ],
            Self::SvelteKit => [
                "_app/immutable/entry/start.HASH.js",
                "_app/immutable/chunks/HASH.js",
                "_app/immutable/nodes/2.HASH.js",
                "_app/immutable/nodes/3.HASH.js",
                "_app/immutable/assets/4.HASH.css",
                "_app/immutable/chunks/HASH.js",
            ],
        }
    }

    /// Returns the names of the files that are new in each build.
    fn files_of_build(self) -> &'static [&'static str] {
        match self {
            Self::Next => &[
                "_next/static/ID/_buildManifest.js",
                "_next/static/ID/_ssgManifest.js",
            ],
            Self::Nuxt => &["_nuxt/builds/meta/ID.json"],
            _ => &[],
        }
    }

    /// Returns the names of files that each build overwrites with something else.
    fn files_in_place(self) -> &'static [&'static str] {
        match self {
            Self::Next => &["index.txt"],
            // https://github.com/vercel/next.js: getBuildId in packages/next/src/build/index.ts
            Self::NextWithDeploymentId => &[
                "index.txt",
                "_next/static/build-TfctsWXpff2fKS/_buildManifest.js",
            ],
            Self::Astro => &["rss.xml"],
            Self::Nuxt => &["_nuxt/builds/latest.json", "_payload.json"],
            Self::SvelteKit => &["_app/version.json"],
        }
    }

    /// Returns the names of the files of the build that all pages name.
    fn scripts_of_build(self) -> &'static [&'static str] {
        match self {
            Self::Next => self.files_of_build(),
            _ => &[],
        }
    }

    fn hash(self, random: &mut Random) -> String {
        match self {
            Self::Next | Self::NextWithDeploymentId => characters(random, HEX, HEX_LENGTH),
            _ => mostly(random, BASE64URL_LENGTH, is_certain_hash),
        }
    }

    fn id(self, random: &mut Random) -> String {
        if self == Self::Nuxt {
            let parts = [8, 4, 4, 4, 12].map(|length| characters(random, HEX, length));
            return parts.join("-");
        }
        mostly(random, BUILD_ID_LENGTH, is_certain_build_id)
    }
}

/// Draws a random name, which sometimes is not certainly one.
fn mostly(random: &mut Random, length: usize, is_certain: fn(&str) -> bool) -> String {
    let is_any = random.one_in(ONE_IN_ANY_HASH);
    loop {
        let drawn = characters(random, BASE64URL, length);
        if is_any || is_certain(&drawn) {
            return drawn;
        }
    }
}

fn characters(random: &mut Random, alphabet: &[u8], length: usize) -> String {
    let characters = (0..length).map(|_| char::from(random.pick(alphabet)));
    characters.collect()
}

fn write((key, content): (&String, &String)) -> Change {
    Change::Write {
        key: key.clone(),
        content: content.clone(),
    }
}

fn is_page(key: &str) -> bool {
    key.ends_with(".html")
}

/// Returns the content of a file whose name contains its hash.
fn immutable_content(key: &str) -> String {
    let mut content = format!("{IMMUTABLE} {key}");
    let sum: usize = key.bytes().map(usize::from).sum();
    if sum.is_multiple_of(ONE_IN_COMPRESSIBLE) {
        content.push_str(&" ".repeat(COMPRESSIBLE_BYTES));
    }
    content
}

/// Returns whether a body is the content of the file that a viewer's path leads to, and of which there is one version.
pub fn is_immutable_content(body: &[u8], path: &str) -> bool {
    let Ok(path) = percent_decode_str(path).decode_utf8() else {
        return false;
    };
    let key = std::str::from_utf8(body)
        .ok()
        .and_then(|body| body.strip_prefix(IMMUTABLE));
    key.is_some_and(|key| format!("/{}", key.trim()).ends_with(&*path))
}

/// Returns the paths of the files that an entry page names.
pub fn named_files(page: &[u8]) -> Vec<String> {
    let page = String::from_utf8_lossy(page);
    let sources = page.split("src=\"").skip(1);
    let paths = sources.filter_map(|source| source.split('"').next());
    paths.map(str::to_owned).collect()
}

/// Returns whether nothing but a hash or a random build id can be in a path, and all browsers spell it the same way.
pub fn is_certainly_immutable(path: &str) -> bool {
    let has_one_spelling = !path.contains('%');
    let mut parts = path.split(['/', '.', '-']);
    has_one_spelling && parts.any(|part| is_certain_hash(part) || is_certain_build_id(part))
}

fn is_certain_hash(part: &str) -> bool {
    let is_hex = part.len() == HEX_LENGTH && part.bytes().all(|byte| HEX.contains(&byte));
    let has = |is_kind: fn(&u8) -> bool| part.as_bytes().iter().any(is_kind);
    let is_base64url = part.len() == BASE64URL_LENGTH
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
        && changes_of_kind(part) >= MIN_CHANGES_IN_HASH
        && has_letters_without_vowel(part);
    is_hex || is_base64url
}

fn is_certain_build_id(part: &str) -> bool {
    part.len() == BUILD_ID_LENGTH
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && changes_of_kind(part) >= MIN_CHANGES_IN_BUILD_ID
}

/// Returns whether letters between two digits are not a word.
fn has_letters_without_vowel(text: &str) -> bool {
    let mut letters = text.split(|character: char| character.is_ascii_digit());
    letters.any(|letters| !letters.is_empty() && !letters.contains(VOWELS))
}

/// Counts the changes between capitals, small letters, digits and other characters.
fn changes_of_kind(text: &str) -> usize {
    let kind = |byte: &u8| {
        (
            byte.is_ascii_uppercase(),
            byte.is_ascii_lowercase(),
            byte.is_ascii_digit(),
        )
    };
    let pairs = text.as_bytes().windows(2);
    pairs
        .filter(|pair| kind(&pair[0]) != kind(&pair[1]))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_random_build_ids_are_certain() {
        for (path, expected) in [
            ("/_next/static/chunks/app/page-1e99280113febad8.js", true),
            ("/docs/_astro/index.B3xY7kQ2.css", true),
            ("/_nuxt/B3xY7kQ2.js", true),
            (
                "/_next/static/dQ3xYa7kBaa2Zr9LmN4pT/_buildManifest.js",
                true,
            ),
            (
                "/_next/static/production-of-monday/_buildManifest.js",
                false,
            ),
            (
                "/_next/static/build-TfctsWXpff2fKS/_buildManifest.js",
                false,
            ),
            ("/_nuxt/Dsgqhzle.js", false),
            ("/_nuxt/0OMK9Mhy.js", false),
            (
                "/_next/static/chunks/app/%5Bslug%5D/page-1e99280113febad8.js",
                false,
            ),
            ("/_nuxt/builds/latest.json", false),
            ("/_app/version.json", false),
        ] {
            assert_eq!(is_certainly_immutable(path), expected, "{path}");
        }
    }

    #[test]
    fn a_build_changes_pages_with_the_files_that_they_name() {
        for framework in [
            Framework::Next,
            Framework::NextWithDeploymentId,
            Framework::Astro,
            Framework::Nuxt,
            Framework::SvelteKit,
        ] {
            let mut random = Random::new(1);
            let bundler = Bundler {
                framework,
                base: "docs/",
                deletes: true,
            };
            let builds = bundler.plan(&mut random, "prod", 1);
            let changes = builds.changes(&mut random, 0);
            let (before, after) = (&builds.builds[0], &builds.builds[1]);
            for change in &changes {
                let key = change.key();
                assert!(key.starts_with("prod/docs/"), "{key}");
                assert_eq!(
                    matches!(change, Change::Delete(_)),
                    !after.contains_key(key)
                );
            }
            for (key, content) in after {
                if is_page(key) && !key.ends_with("404.html") {
                    let named = named_files(content.as_bytes());
                    assert!(named.len() > SHARED, "{key}");
                    for path in named {
                        let decoded = path.replace("%5B", "[").replace("%5D", "]");
                        let file = format!("prod{decoded}");
                        assert!(
                            is_immutable_content(after[&file].as_bytes(), &path),
                            "{path}"
                        );
                    }
                }
            }
            let written = changes.iter().filter(|change| is_page(change.key()));
            assert!(written.count() > 0, "no page of {framework:?} changed");
            let deleted = before.keys().filter(|key| !after.contains_key(*key));
            assert!(deleted.count() > 0, "no file of {framework:?} was deleted");
        }
    }
}
