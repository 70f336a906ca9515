//! Real names are from the documentation, the tests and the issues of the frameworks.

use super::hash::is_random_id;
use super::*;

fn parse(text: &str) -> Result<ImmutablePaths, String> {
    ImmutablePaths::parse(text.split(',')).map_err(|error| error.to_string())
}

/// Checks whether `auto` contains the files in this directory.
fn assert_auto(directory: &str, files: &[&str], expected: bool) {
    let auto = ImmutablePaths::default();
    for file in files {
        let path = format!("{directory}{file}");
        assert_eq!(auto.contains(&path), expected, "{path}");
    }
}

#[test]
fn files_of_next_with_a_hash_never_change() {
    assert_auto(
        "/_next/static/",
        &[
            "chunks/main-c9d26e0caf71ac90.js",
            "chunks/101-6ce293165b7f28e4.js",
            "chunks/0e762574-6c4a5d715e217f79.js",
            "chunks/16.7e142f9bb815546eb8c3.js",
            "chunks/app/projects/[id]/page-86c6137e633972a2.js",
            "chunks/polyfills-42372ed130431b0a.js",
            "chunks/pages/_app-d23763e3e6c904ff.js",
            "chunks/pages/_app-d23763e3e6c904ff.js.map",
            "chunks/static/JxZxVopy0INf4f5nBBSv0/pages/demo.js.c0e855f5.chunk.css",
            "css/1212233ee98d7dc5.css",
            "media/logo.c68b797c.png",
            "media/4473ecc91f70f139-s.p.woff",
            "46d9f0e7b082f6b29f93.worker.js",
            // Turbopack, with hashes in several alphabets.
            "chunks/07efa55314110fbd.js",
            "chunks/04hz.zrk-iiii.js",
            "chunks/02mwm~nf6lgvk.js",
            "chunks/0...f7~att2_2.js",
            "chunks/0cz1d0mv5g_q7.js",
            "chunks/437ipb-buspo7.js",
            "chunks/04krbzd2lmnmg.js",
            "chunks/turbopack-164lj7fr~s_z4.js",
            "chunks/turbopack-0snm50y8kpj5e.js",
            "chunks/04~e~12345678.js",
            "media/favicon.2vob68tjqpejf.ico",
            "media/1bffadaabf893a1e-s.3-6t-g6q0vh0a.woff2",
            "immutable/chunks/39oh5_-t7_b62.css",
        ],
        true,
    );
}

#[test]
fn files_of_next_without_a_hash_can_change() {
    assert_auto(
        "/_next/static/",
        &[
            "chunks/main.js",
            "chunks/webpack.js",
            "chunks/404-not-found.js",
            "chunks/20240131.js",
            "chunks/20240131123456.js",
            "css/page-overview.css",
            "media/photo-1920x1080.jpg",
            "_buildManifest.js",
            "chunks/0a1b2c3d-ssgManifest.js",
            "chunks/0a1b2c3d-clientMiddlewareManifest.json",
            "service-worker/sw.js",
            "service-worker/sw-c9d26e0caf71ac90.js",
            // A hash of the module's path.
            "chunks/_3e74d96d._.js",
            "chunks/turbopack-_376339a9._.js",
            "chunks/pages-3e74d96d._.js",
            // Neither 8 hexadecimal digits nor all of them letters.
            "chunks/main-c9d26e0.js",
            "chunks/deadbeef.js",
            // Not the 13 characters of Turbopack.
            "chunks/x04krbzd2lmnmg.js",
            "chunks/54krbzd2lmnmg.js",
            "chunks/z4krbzd2lmnmg.js",
            "chunks/04KRbzd2lmnmg.js",
            "chunks/404-go-123456.js",
        ],
        false,
    );
    assert_auto("/_next/", &["data/szPy3Pa1MS24E1-7nXChS/index.json"], false);
}

#[test]
fn files_below_a_random_build_id_of_next_never_change() {
    for (id, is_random) in [
        ("szPy3Pa1MS24E1-7nXChS", true),
        ("Rynx1As9MKvtVUO0Djcho", true),
        ("-CcHy2kQ2s0C7F7evSLfU", true),
        ("JxZxVopy0INf4f5nBBSv0", true),
        ("KJHGFDSQXcvbnmlkjh4dw", true),
        // The constant of Next.js 16.2 with a deployment id.
        ("build-TfctsWXpff2fKS", false),
        // What a site can set: a branch, a commit, a release with 21 characters.
        ("main", false),
        ("development", false),
        ("523898890af96c58193a523898890af96c58193a", false),
        ("my-release-2024-01-01", false),
        ("Release-2024-01-15-01", false),
        ("ThisIsMyBuildConstant", false),
        ("111111111111111111111", false),
        ("Prd-2024-01-15-Bld-12", false),
        ("Web-Prod-2024-01-15-a", false),
        ("Release2024Build12345", false),
        ("build-TfctsWXpff2fKSx", false),
        ("version-candidate-X1y", false),
        // Another length, another alphabet, or capitals or small letters alone.
        ("szPy3Pa1MS24E1-7nXCh", false),
        ("szPy3Pa1MS24E1-7nXChSx", false),
        ("szPy3Pa1MS24E1.7nXChS", false),
        ("szpy3pa1ms24e1-7nxchs", false),
        ("SZPY3PA1MS24E1-7NXCHS", false),
    ] {
        assert_eq!(is_random_id(id), is_random, "{id}");
        let files = [
            "_buildManifest.js",
            "_ssgManifest.js",
            "pages/index.js",
            "_clientMiddlewareManifest.json",
        ];
        assert_auto(&format!("/_next/static/{id}/"), &files, is_random);
    }
    assert_auto(
        "/_next/static/",
        &["szPy3Pa1MS24E1-7nXChS/", "szPy3Pa1MS24E1-7nXChS"],
        false,
    );
    // Only directly below the directory.
    assert_auto(
        "/_next/static/chunks/",
        &["szPy3Pa1MS24E1-7nXChS/index.js", "szPy3Pa1MS24E1-7nXChS"],
        false,
    );
}

#[test]
fn files_of_astro_with_a_hash_after_a_dot_never_change() {
    assert_auto(
        "/_astro/",
        &[
            "index.DRf8L97S.css",
            "hoodie-front.DCYphaTe.webp",
            "merch-shirt.Co53zc-9.png",
            "icon_3.ezlr7GX-.svg",
            "courseQueries._IkP52RI.js",
            "_courseId_.2MYdhnDW.css",
            "ClientRouter.astro_astro_type_script_index_0_lang.CDGfc0hd.js",
            "pocketbase.es.DvLyCDLJ.js",
            "hoisted.2361d08b.js",
            "hoisted.face1234.js",
            "chunk.523898890af96c58.js",
            "hero.DlKDY3ml_ZvbIwv.webp",
            "hero.BSRunHkm_13ta4C.webp",
            "hero.DlKDY3ml_Zvb1.webp",
            "hero.DlKDY3ml_ZvbIwv12.webp",
            "menu.Doke24Ku.js",
            "fonts/0976180ba0e36444.woff2",
        ],
        true,
    );
    assert_auto(
        "/_astro/",
        &[
            "index.js",
            "HomePage.js",
            "DRf8L97S.js",
            "hero.min.js",
            "jquery.validate.js",
            "page.overview.css",
            "page.HomePage.css",
            "ec.1vui4.css",
            "fonts/inter.woff2",
            "video.v1234567.mp4",
            // Remote images: the hash of the transformation.
            "photo-1506744038136-46273834b3fb_Z1abcD.webp",
            "hero_ZvbIwv.webp",
            "banner.de_2kYQr.webp",
            "trip.DSC_0042_1mpDx.jpg",
            "Screenshot 10.30.45_1mpDx.png",
            "hero.HomePage_ZvbIwv.webp",
            "hero.DlKDY3ml-ZvbIwv.webp",
            "hero.DlKDY3ml_Zvb.webp",
            "hero.DlKDY3ml_ZvbIwv123.webp",
            "hero.DlKDY3ml_Zvb-Iw.webp",
            "page.NavBar24.css",
        ],
        false,
    );
}

#[test]
fn files_of_nuxt_with_a_hash_never_change() {
    assert_auto(
        "/_nuxt/",
        &[
            "BTXdFNo4.js",
            "BRGWtgFQ.js",
            "GletguzQ.js",
            "f5zXXyNt.js",
            "d05_zk2f.js",
            "0PS8OJft.js",
            "BHnRhB5_.js",
            "entry.DVeVhuF1.css",
            "error-404.C-Ezrlz-.css",
            "login._6g424t7.css",
            "entry.f291813e.js",
            "entry-2d6bb7c5.mjs",
            "entry-face1234.mjs",
            "entry-523898890af96c58.mjs",
            "video.5c65c472.js.br",
            "BTXdFNo4.js.gz",
            "Dode2aKu.js",
            "kzt12xvb.js",
            "assets/builds/BTXdFNo4.js",
        ],
        true,
    );
    assert_auto(
        "/_nuxt/",
        &[
            "builds/latest.json",
            "builds/meta/4120831a-0615-436c-be4d-62114a3785a0.json",
            "builds/meta/2361d08b.json",
            "builds/_nuxt/BTXdFNo4.js",
            "entry.js",
            "overview.js",
            "nav-item.js",
            "HomePage.js",
            "MyNavBar.js",
            "MyButton.js",
            "UIButton.js",
            "HTMLPage.js",
            "CSSPanel.js",
            "page2024.js",
            "20240131.js",
            "BTXdFNo4",
            "BTXdFNo4x.js",
            "entry_BTXdFNo4.js",
            "face1234-entry.js",
            "nav-html.js",
        ],
        false,
    );
}

#[test]
fn files_of_sveltekit_with_a_hash_never_change() {
    assert_auto(
        "/_app/immutable/",
        &[
            "entry/start.DiRjZJ8_.js",
            "entry/app.Fpnp_VCn.js",
            "nodes/2.ef4891fe.js",
            "chunks/CFm9SEez.js",
            "chunks/YyYSWFJU.js",
            "chunks/index-705b3c5f.js",
            "pages/_page.svelte-705b3c5f.js",
            "assets/fira-mono-latin-400-normal.e43b3538.woff2",
            "workers/worker-B-HF4aT9.js",
        ],
        true,
    );
    assert_auto(
        "/_app/",
        &[
            "version.json",
            "env.js",
            "immutable/workers/worker.js",
            "immutable/entry/start.js",
            "immutable/chunks/HomePage.js",
            "chunks/CFm9SEez.js",
        ],
        false,
    );
}

#[test]
fn a_name_alone_never_decides() {
    assert_auto(
        "/",
        &[
            "assets/index-BdJjQ6lI.js",
            "assets/js/main.c68b797c.js",
            "static/js/main.c68b797c.js",
            "main-c9d26e0caf71ac90.js",
            "_next/main-c9d26e0caf71ac90.js",
            "x_nuxt/BTXdFNo4.js",
            "_nuxt.BTXdFNo4.js",
        ],
        false,
    );
    // A site can have a base path.
    assert_auto(
        "/docs/v2",
        &["/_next/static/css/1212233ee98d7dc5.css"],
        true,
    );
}

#[test]
fn patterns_add_to_auto() {
    let hashed = "/_nuxt/BTXdFNo4.js";
    for (text, display, of_framework, assets) in [
        ("", "auto", true, false),
        ("auto", "auto", true, false),
        ("AUTO", "auto", true, false),
        ("none", "none", false, false),
        (" None ", "none", false, false),
        ("none,none", "none", false, false),
        ("/assets/*", "/assets/*", true, true),
        ("auto, /assets/*", "/assets/*", true, true),
        ("/img/*,/assets/*.js", "/img/*,/assets/*.js", true, true),
        ("/assets/?.js", "/assets/?.js", true, true),
        ("/assets/a.js", "/assets/a.js", true, true),
        ("/100%/*", "/100%/*", true, false),
    ] {
        let paths = parse(text).expect(text);
        assert_eq!(paths.to_string(), display);
        assert_eq!(paths.contains(hashed), of_framework, "{text}");
        assert_eq!(paths.contains("/assets/a.js"), assets, "{text}");
        for page in ["/index.html", "/assets/index.html", "/assets/a/index.html"] {
            assert!(!paths.contains(page), "{text}");
        }
    }
}

#[test]
fn names_what_is_not_an_immutable_path() {
    let covers = |pattern: &str, page: &str| {
        format!(
            "{pattern:?} covers {page}, which changes: name the directory of the files that never change, such as /assets/*"
        )
    };
    let no_pattern = "is not auto, none or a pattern that starts with a slash, such as /assets/*";
    for (text, message) in [
        ("assets/*", format!("\"assets/*\" {no_pattern}")),
        ("yes", format!("\"yes\" {no_pattern}")),
        ("*", format!("\"*\" {no_pattern}")),
        (
            "/assets/",
            "\"/assets/\" covers no file: write /assets/*".to_owned(),
        ),
        (
            "/assets",
            "\"/assets\" covers only this path: write /assets/*".to_owned(),
        ),
        (
            "/caf%C3%A9/*",
            "\"/caf%C3%A9/*\" is encoded: write the characters themselves, as in the keys of the bucket".to_owned(),
        ),
        ("/*", covers("/*", "/")),
        ("/assets/*,/*.html", covers("/*.html", "/index.html")),
        ("/ind*", covers("/ind*", "/index.html")),
        (
            "none,/assets/*",
            "\"none\" cannot be combined with other values: write none alone, or leave it out".to_owned(),
        ),
    ] {
        assert_eq!(parse(text), Err(message), "{text}");
    }
}

/// Returns the hint for changed paths; those with an exclamation mark are invalidated whatever the patterns are.
fn hint(paths: &[String]) -> Option<(Vec<String>, usize)> {
    let mut keys = HintKeys::default();
    for (index, path) in paths.iter().enumerate() {
        let is_saved = !path.ends_with('!');
        keys.add(index, &[path.trim_end_matches('!').to_owned()], || is_saved);
    }
    keys.hint().map(|hint| (hint.patterns, hint.objects.len()))
}

#[test]
fn a_directory_is_suggested_if_all_changes_in_it_look_immutable() {
    let hashed = |directory: &str, count: usize| -> Vec<String> {
        let name = |n: usize| format!("{directory}chunk-a{:07x}.js", n * 1_000_003);
        (0..count).map(name).collect()
    };
    let names =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let some = |patterns: &[&str], objects| Some((names(patterns), objects));
    let words: Vec<_> = (10..30).map(|n| format!("assets/x-Doke{n}Ku.js")).collect();
    let turbopack: Vec<_> = (10..30)
        .map(|n| format!("assets/0{n}krbzd2lmnm.js"))
        .collect();
    for (parts, expected) in [
        (vec![hashed("assets/", 20)], some(&["/assets/*"], 20)),
        (vec![hashed("assets/", 19)], None),
        (
            vec![hashed("assets/", 20), names(&["index.html", "a/b.html"])],
            some(&["/assets/*"], 20),
        ),
        // As deep as all of the files.
        (vec![hashed("static/js/", 20)], some(&["/static/js/*"], 20)),
        (
            vec![hashed("static/js/", 12), hashed("static/css/", 12)],
            some(&["/static/*"], 24),
        ),
        (
            vec![
                hashed("static/js/", 12),
                hashed("static/css/", 12),
                names(&["static/a.txt"]),
            ],
            some(&["/static/css/*", "/static/js/*"], 24),
        ),
        // Another file is among them.
        (
            vec![hashed("assets/", 30), names(&["assets/logo.png"])],
            None,
        ),
        (
            vec![hashed("assets/", 30), names(&["assets/img/logo.png"])],
            None,
        ),
        (
            vec![hashed("assets/", 30), names(&["assets/x-BdJjQ6lI.js!"])],
            None,
        ),
        // A hash that reads like a word.
        (
            vec![hashed("assets/", 30), names(&["assets/x-overview.js"])],
            some(&["/assets/*"], 31),
        ),
        (
            vec![
                hashed("assets/", 30),
                vec!["assets/x-overview.js".to_owned(); 6],
            ],
            some(&["/assets/*"], 36),
        ),
        (
            vec![
                hashed("assets/", 30),
                vec!["assets/x-overview.js".to_owned(); 7],
            ],
            None,
        ),
        (
            vec![hashed("assets/", 30), names(&["assets/preoverview.js"])],
            None,
        ),
        (
            vec![hashed("assets/", 30), names(&["assets/x-over~iew.js"])],
            None,
        ),
        (vec![words], None),
        (vec![turbopack], some(&["/assets/*"], 20)),
        // No directory contains them.
        (vec![hashed("", 30)], None),
        // At most three patterns.
        (
            vec![
                hashed("a/", 5),
                hashed("b/", 10),
                hashed("c/", 12),
                hashed("d/", 11),
            ],
            some(&["/b/*", "/c/*", "/d/*"], 33),
        ),
    ] {
        assert_eq!(hint(&parts.concat()), expected, "{parts:?}");
    }
}

#[test]
fn a_page_is_never_among_what_looks_immutable() {
    let mut keys = HintKeys::default();
    for index in 0..30 {
        keys.add(index, &[format!("a/x-{index:02}bcdef1.js")], || true);
    }
    assert!(keys.hint().is_some());
    keys.add(30, &["a/index.html".to_owned(), "a/".to_owned()], || true);
    assert_eq!(keys.hint(), None);
}

#[test]
fn a_hint_covers_the_objects_of_all_its_patterns() {
    let mut keys = HintKeys::default();
    for index in 0..40 {
        let path = match index % 3 {
            0 => format!("b/x-{index:02}bcdef1.js"),
            1 => format!("a/x-{index:02}bcdef1.js"),
            _ => format!("page-{index}.html"),
        };
        keys.add(index, &[path], || true);
    }
    let hint = keys.hint().expect("a hint");
    assert_eq!(hint.patterns, ["/a/*", "/b/*"]);
    let covered: Vec<_> = (0..40).filter(|index| hint.covers(*index)).collect();
    let expected: Vec<_> = (0..40).filter(|index| index % 3 != 2).collect();
    assert_eq!(covered, expected);
}

#[test]
fn a_hint_names_what_its_patterns_save() {
    let hint = Hint {
        patterns: vec!["/css/*".into(), "/js/*".into()],
        objects: (0..24).collect(),
    };
    let note = "the names of 24 changed objects look like hashes of their content: ImmutablePaths or --immutable '/css/*,/js/*' \
                would save 17 of 20 paths, if all files there have such names";
    assert_eq!(hint.note(20, 3).as_deref(), Some(note));
    assert_eq!(hint.note(3, 3), None);
    assert_eq!([hint.covers(23), hint.covers(24)], [true, false]);
}
