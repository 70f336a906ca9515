//! `--keys-from`: what programs that list files write before or around a key.

use crate::environment::{Environment, FIRST, account};

#[test]
fn keys_are_read_without_the_root_of_a_list_of_files() {
    let mut environment = Environment::new("keys-roots");
    let lines = "/index.html\n./blog/a.html\nb.css\n";
    let create = format!("create -d {FIRST} --keys-from - --bucket site --no-checks");
    let output = environment.run_with_input(&create, lines);
    assert_eq!(output.code, 0);
    let paths = ["/", "/b.css", "/blog/a.html", "/index.html"];
    let paths = paths.map(str::to_owned).to_vec();
    assert_eq!(environment.accepted(), [(FIRST.to_owned(), paths)]);
    for line in [
        "s3://site/index.html",
        "a.html\tb.html",
        "/",
        r#""caf\303\251.html""#,
    ] {
        let output = environment.run_with_input(&create, &format!("index.html\n{line}\n"));
        assert_eq!(output.code, 2, "{line}: {}", output.stderr);
    }
    assert_eq!(environment.accepted().len(), 1);
    environment.snapshot("keys-roots");
}

#[test]
fn keys_without_a_bucket_can_be_those_of_a_server() {
    let configuration = include_str!("../distributions/bare.xml");
    let server = configuration.replace("site.s3.amazonaws.com", "www.example.org");
    let path = format!("distribution/{FIRST}/config");
    let options = account().with_document(&path, &server);
    let mut environment = Environment::with_options("keys-server", options);
    let create = format!("create -d {FIRST} --keys-from - --no-checks");
    let output = environment.run_with_input(&create, "b.css\n");
    assert_eq!(output.code, 0, "{}", output.stderr);
    let sent = (FIRST.to_owned(), vec!["/b.css".to_owned()]);
    assert_eq!(environment.accepted(), [sent]);
}
