//! The families of sites that the project supports, each with random details.

use super::bundler::{Bundler, Framework};
use super::site::{Behavior, Distribution, Endpoint, ErrorPage, IndexFunction, QueryStrings, Site};
use super::soak::random::Random;

/// How many of the owners of a bundler's site leave the files of earlier builds in the bucket.
const ONE_IN_KEPT_FILES: usize = 3;

const FAMILIES: [fn(&mut Random) -> Site; 19] = [
    plain,
    server,
    origin_path_with_error_page,
    index_function,
    denied,
    single_page,
    access_point,
    behaviors,
    function_with_other_origin_path,
    replicated,
    website,
    query_strings,
    shared_bucket,
    website_under_origin_path,
    shared_bucket_with_function,
    next,
    astro,
    nuxt,
    svelte_kit,
];

const ROOT_OBJECTS: [&str; 4] = ["index.html", "index.html", "about.html", "blog/index.html"];
const NOT_FOUND_PAGES: [&str; 2] = ["/404.html", "/docs/guide/start.html"];

const WITH_QUERY_STRINGS: [QueryStrings; 4] = [
    QueryStrings::PolicyAll,
    QueryStrings::PolicyOnly,
    QueryStrings::PolicyAllExcept,
    QueryStrings::LegacyAll,
];
const WITHOUT_QUERY_STRINGS: [QueryStrings; 2] = [QueryStrings::Managed, QueryStrings::LegacyNone];

/// Returns a site of a family; consecutive numbers go through all of them.
pub fn site(random: &mut Random, number: usize) -> Site {
    FAMILIES[number % FAMILIES.len()](random)
}

fn single(family: &'static str, distribution: Distribution) -> Site {
    Site {
        family,
        distributions: vec![distribution],
        is_denied: false,
        bundler: None,
    }
}

/// Returns a distribution with one origin and one behavior.
fn simple(random: &mut Random, endpoint: Endpoint, origin_path: &'static str) -> Distribution {
    Distribution {
        endpoint,
        origin_paths: vec![origin_path],
        default_root_object: random.pick(&ROOT_OBJECTS),
        behaviors: vec![default_behavior(random.pick(&WITHOUT_QUERY_STRINGS))],
        error_pages: Vec::new(),
    }
}

fn default_behavior(query_strings: QueryStrings) -> Behavior {
    Behavior {
        path_pattern: "*",
        origin: 0,
        query_strings,
        function: None,
    }
}

/// Returns a page in place of an error, which is cached for less or more than the minute after which viewers look.
fn not_found_page(random: &mut Random, error_code: u16) -> ErrorPage {
    ErrorPage {
        error_code,
        page: random.pick(&NOT_FOUND_PAGES),
        response_code: 404,
        caching_min_ttl: random.pick(&[0, 10, 60, 300]),
    }
}

fn plain(random: &mut Random) -> Site {
    single("REST origin", simple(random, Endpoint::Rest, ""))
}

fn origin_path_with_error_page(random: &mut Random) -> Site {
    let mut distribution = simple(random, Endpoint::Rest, "/prod");
    distribution.error_pages.push(not_found_page(random, 403));
    single(
        "REST origin with an origin path and an error page",
        distribution,
    )
}

fn index_function(random: &mut Random) -> Site {
    let origin_path = random.pick(&["", "/prod"]);
    let mut distribution = simple(random, Endpoint::Rest, origin_path);
    distribution.behaviors[0].function = Some(random.pick(&IndexFunction::REWRITING));
    if random.one_in(2) {
        distribution.error_pages.push(not_found_page(random, 403));
    }
    single("REST origin with a function", distribution)
}

fn single_page(random: &mut Random) -> Site {
    let origin_path = random.pick(&["", "/prod"]);
    let mut distribution = simple(random, Endpoint::Rest, origin_path);
    if random.one_in(2) {
        distribution.behaviors[0].query_strings = random.pick(&WITH_QUERY_STRINGS);
    }
    let caching_min_ttl = random.pick(&[0, 10, 300]);
    distribution.error_pages = [403, 404]
        .map(|error_code| ErrorPage {
            error_code,
            page: "/index.html",
            response_code: 200,
            caching_min_ttl,
        })
        .to_vec();
    single("single-page application", distribution)
}

fn website(random: &mut Random) -> Site {
    let mut distribution = simple(random, Endpoint::Website, "");
    distribution.default_root_object = random.pick(&["", "index.html"]);
    if random.one_in(2) {
        distribution.error_pages.push(not_found_page(random, 404));
    }
    single("website endpoint", distribution)
}

fn website_under_origin_path(random: &mut Random) -> Site {
    let mut distribution = simple(random, Endpoint::Website, "/prod");
    distribution.default_root_object = "";
    distribution.behaviors[0].query_strings = random.pick(&WITH_QUERY_STRINGS);
    single(
        "website endpoint with an origin path and query strings",
        distribution,
    )
}

fn behaviors(random: &mut Random) -> Site {
    let mut distribution = simple(random, Endpoint::Rest, "/prod");
    distribution.origin_paths.push("/beta");
    let behavior = |path_pattern, origin, query_strings, function| Behavior {
        path_pattern,
        origin,
        query_strings,
        function,
    };
    let function = Some(random.pick(&IndexFunction::REWRITING));
    distribution.behaviors = vec![
        behavior("/docs/*", 1, QueryStrings::Managed, function),
        behavior("*.js", 0, random.pick(&WITH_QUERY_STRINGS), None),
        behavior("blog/*", 0, random.pick(&WITH_QUERY_STRINGS), function),
        default_behavior(random.pick(&WITHOUT_QUERY_STRINGS)),
    ];
    if random.one_in(2) {
        distribution.error_pages.push(not_found_page(random, 403));
    }
    single("several behaviors and origins", distribution)
}

fn query_strings(random: &mut Random) -> Site {
    let mut distribution = simple(random, Endpoint::Rest, "");
    distribution.behaviors[0].query_strings = random.pick(&WITH_QUERY_STRINGS);
    if random.one_in(2) {
        distribution.behaviors[0].function = Some(random.pick(&IndexFunction::REWRITING));
    }
    single("query strings in the cache key", distribution)
}

fn shared_bucket(random: &mut Random) -> Site {
    let endpoint = random.pick(&[Endpoint::Rest, Endpoint::Website]);
    let first = simple(random, Endpoint::Rest, "/prod");
    let mut second = simple(random, endpoint, "/beta");
    second.behaviors[0].query_strings = random.pick(&WITH_QUERY_STRINGS);
    Site {
        family: "two distributions on one bucket",
        distributions: vec![first, second],
        is_denied: false,
        bundler: None,
    }
}

fn shared_bucket_with_function(random: &mut Random) -> Site {
    let mut distributions = ["", "/prod"].map(|path| simple(random, Endpoint::Rest, path));
    distributions[1].behaviors[0].function = Some(random.pick(&IndexFunction::REWRITING));
    distributions[1]
        .error_pages
        .push(not_found_page(random, 403));
    Site {
        family: "two distributions on one bucket, one with a function",
        distributions: distributions.into(),
        is_denied: false,
        bundler: None,
    }
}

/// Returns a server in front of the bucket. It cannot be found by the bucket, and nothing shows what it requests.
fn server(random: &mut Random) -> Site {
    let endpoint = random.pick(&[Endpoint::Server, Endpoint::ServerWithoutOriginPath]);
    let mut distribution = simple(random, endpoint, "/prod");
    distribution.behaviors[0].function = maybe_function(random);
    single("server in front of the bucket", distribution)
}

fn access_point(random: &mut Random) -> Site {
    let origin_path = random.pick(&["", "/prod"]);
    let mut distribution = simple(random, Endpoint::AccessPoint, origin_path);
    distribution.behaviors[0].function = maybe_function(random);
    single("alias of an access point", distribution)
}

fn function_with_other_origin_path(random: &mut Random) -> Site {
    let mut distribution = simple(random, Endpoint::Rest, "/prod");
    distribution.behaviors[0].function = Some(IndexFunction::OriginPath);
    single("function that changes the origin path", distribution)
}

/// Returns a bucket with a replica, whose old copies viewers get while the bucket fails.
fn replicated(random: &mut Random) -> Site {
    let origin_path = random.pick(&["", "/prod"]);
    let mut distribution = simple(random, Endpoint::Replicated, origin_path);
    distribution.behaviors[0].function = maybe_function(random);
    single("origin group with a replica", distribution)
}

/// Returns a site whose configuration the function may not read. It has what the function then assumes: no origin path,
/// `index.html` as default root object, index documents, and no query strings in the cache key.
fn denied(random: &mut Random) -> Site {
    let mut distribution = simple(random, Endpoint::Rest, "");
    distribution.default_root_object = "index.html";
    distribution.behaviors[0].function = maybe_function(random);
    Site {
        is_denied: true,
        ..single("configuration that cannot be read", distribution)
    }
}

fn next(random: &mut Random) -> Site {
    let framework = random.pick(&[Framework::Next, Framework::NextWithDeploymentId]);
    bundled(random, "Next.js export", framework)
}

fn astro(random: &mut Random) -> Site {
    bundled(random, "Astro", Framework::Astro)
}

fn nuxt(random: &mut Random) -> Site {
    bundled(random, "Nuxt", Framework::Nuxt)
}

fn svelte_kit(random: &mut Random) -> Site {
    bundled(random, "SvelteKit", Framework::SvelteKit)
}

/// Returns a site with two distributions that differ in what they do about errors.
fn bundled(random: &mut Random, family: &'static str, framework: Framework) -> Site {
    let bundler = Bundler {
        framework,
        base: random.pick(&["", "docs/"]),
        deletes: !random.one_in(ONE_IN_KEPT_FILES),
    };
    let origin_path = random.pick(&["", "/prod"]);
    let mut errors = Errors::ALL;
    random.shuffle(&mut errors);
    let distributions = errors.into_iter().take(2).map(|errors| {
        let mut distribution = simple(random, Endpoint::Rest, origin_path);
        distribution.default_root_object = match bundler.base {
            "" => "index.html",
            _ => "docs/index.html",
        };
        distribution.behaviors[0].function = maybe_function(random);
        distribution.error_pages = errors.pages(random, bundler);
        distribution
    });
    Site {
        family,
        distributions: distributions.collect(),
        is_denied: false,
        bundler: Some(bundler),
    }
}

/// What viewers of a bundler's site get in place of an error.
#[derive(Clone, Copy)]
enum Errors {
    /// The origin's error, for ten seconds.
    Default,
    /// A page for at most a minute.
    Short,
    /// A page for longer.
    Long,
    /// An entry page with status 200, which renders every path.
    SinglePage,
}

impl Errors {
    const ALL: [Self; 4] = [Self::Default, Self::Short, Self::Long, Self::SinglePage];

    fn pages(self, random: &mut Random, bundler: Bundler) -> Vec<ErrorPage> {
        let is_at_root = bundler.base.is_empty();
        let page = |root, below_base| if is_at_root { root } else { below_base };
        let not_found = |caching_min_ttl| ErrorPage {
            error_code: 403,
            page: page("/404.html", "/docs/404.html"),
            response_code: 404,
            caching_min_ttl,
        };
        let fallback = |error_code| ErrorPage {
            error_code,
            page: page("/index.html", "/docs/index.html"),
            response_code: 200,
            caching_min_ttl: 0,
        };
        match self {
            Self::Default => Vec::new(),
            Self::Short => vec![not_found(random.pick(&[0, 10, 60]))],
            Self::Long => vec![not_found(random.pick(&[300, 86_400]))],
            Self::SinglePage => vec![fallback(403), fallback(404)],
        }
    }
}

fn maybe_function(random: &mut Random) -> Option<IndexFunction> {
    random.pick(&[
        None,
        Some(IndexFunction::Directories),
        Some(IndexFunction::Extensions),
    ])
}

/// Returns the site after its owner has changed a configuration; `None` for a family whose configuration stays.
///
/// Without DISTRIBUTION_ID the owner can also add a distribution.
pub fn reconfigured(random: &mut Random, site: &Site, names_distributions: bool) -> Option<Site> {
    let is_modelled = |distribution: &Distribution| {
        distribution.endpoint != Endpoint::Website && distribution.is_modelled()
    };
    if site.is_denied || site.distributions.iter().any(is_modelled) {
        return None;
    }
    let mut site = site.clone();
    let number = random.below(site.distributions.len());
    if let Some(bundler) = site.bundler {
        let errors = random.pick(&Errors::ALL);
        site.distributions[number].error_pages = errors.pages(random, bundler);
        return Some(site);
    }
    let adds_distribution = !names_distributions && site.distributions.len() == 1;
    let distribution = &mut site.distributions[number];
    let default = distribution.behaviors.len() - 1;
    let default = &mut distribution.behaviors[default];
    let is_rest = distribution.endpoint == Endpoint::Rest;
    match random.below(7) {
        0 if is_rest && default.function.is_none() => {
            default.function = Some(random.pick(&IndexFunction::REWRITING));
        }
        1 if WITHOUT_QUERY_STRINGS.contains(&default.query_strings) => {
            default.query_strings = random.pick(&WITH_QUERY_STRINGS);
        }
        2 if is_rest => {
            let other_roots = ["blog/index.html", "about.html", "index.html"];
            let mut other_roots = other_roots.into_iter();
            let current = distribution.default_root_object;
            let other = other_roots.find(|root| *root != current);
            distribution.default_root_object = other.unwrap_or_default();
        }
        3 if is_rest && distribution.error_pages.is_empty() => {
            distribution.error_pages.push(ErrorPage {
                error_code: 403,
                page: "/index.html",
                response_code: 200,
                caching_min_ttl: 300,
            });
        }
        4 | 5 if adds_distribution => {
            let origin_path = random.pick(&["", "/prod"]);
            let added = simple(random, Endpoint::Rest, origin_path);
            site.distributions.push(added);
        }
        _ => distribution.origin_paths[0] = "/green",
    }
    Some(site)
}
