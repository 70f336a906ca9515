//! PATHS and `--paths`: what is accepted, and what is refused before any call.

use std::fs;
use std::process::Command;

use crate::environment::{Environment, FIRST, PROGRAM};

/// The mistakes, each as one line of arguments.
const REFUSED: [&str; 22] = [
    "create /a --wait 5m",
    "create /a 300",
    "create blog /a",
    "create E1EXAMPLE1ABC /a",
    "create I2EM8044MZE87P",
    "create www.example.com /a",
    "create shop.example.com",
    "create www.example.com/a.html",
    "create example.com/a.html",
    "create index.html",
    "create ./blog/index.html",
    "create blog/*",
    "create *.jpg",
    "create /blog/*.jpg",
    "create s3://example-site/blog/index.html",
    "create -",
    "create C:/Program%20Files/Git/blog/*",
    "create blog\\index.html",
    "create '/blog/*'",
    "create /a,/b",
    "create --paths /a b",
    "plan 5m",
];

#[test]
fn refuses_what_is_not_a_path_and_names_what_to_write() {
    let mut environment = Environment::new("positional-refused");
    environment.write(
        "cf-invalidate.toml",
        "[sites.blog]\ndistribution = 'E1EXAMPLE1ABC'\n",
    );
    for line in REFUSED {
        let output = environment.run(line);
        assert_eq!(output.code, 2, "{line}: {}", output.stdout);
    }
    assert_eq!(environment.standin.calls(), []);
    environment.snapshot("positional-refused");
}

#[test]
fn refuses_a_status_of_a_limit() {
    let mut environment = Environment::new("positional-status");
    for line in ["status --wait 5m", "status I2EM8044MZE87P --wait 5m"] {
        let output = environment.run(&format!("{line} -d {FIRST}"));
        assert_eq!(output.code, 2, "{line}: {}", output.stdout);
    }
    assert_eq!(environment.standin.calls(), []);
    environment.snapshot("positional-status");
}

/// Runs `create` with these arguments as they are, as a shell passes them.
fn create(environment: &Environment, arguments: &[String]) -> (i32, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["create", "-d", FIRST]).args(arguments);
    let output = environment.run_program(command, "");
    (output.code, output.stderr)
}

#[test]
fn refuses_the_entries_of_the_root_directory() {
    let environment = Environment::new("positional-root");
    let entries = fs::read_dir("/").expect("the root directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    let visible = names.iter().filter(|name| !name.starts_with('.'));
    let paths: Vec<_> = visible.map(|name| format!("/{name}")).collect();
    let (code, error) = create(&environment, &paths);
    let expected = format!(
        "error: {} of these paths are entries of the root directory of this machine, to which the shell expands an \
         unquoted /*: quote it as '/*', or write --all; to invalidate exactly these paths, use --paths-from\n",
        paths.len()
    );
    assert_eq!((code, error), (2, expected));
    assert_eq!(environment.standin.calls(), []);
}

#[test]
fn refuses_the_files_of_the_working_directory() {
    let environment = Environment::new("positional-files");
    let files = ["about.html", "blog", "index.html"].map(str::to_owned);
    for file in &files {
        environment.write(file, "");
    }
    let (code, error) = create(&environment, &files);
    let expected = "error: \"about.html\" is not a path, and all 3 such arguments are files of the working directory, \
                    to which the shell expands an unquoted *: quote it as '/*', or write --all; a path starts with /, \
                    such as /about.html\n";
    assert_eq!((code, error.as_str()), (2, expected));
    assert_eq!(environment.standin.calls(), []);
}

#[test]
fn all_and_a_lone_asterisk_stand_for_everything() {
    let mut environment = Environment::new("positional-all");
    environment.write(
        "cf-invalidate.toml",
        "[sites.blog]\ndistribution = 'E1EXAMPLE1ABC'\npaths = ['/index.html']\n",
    );
    for line in ["create --all", "create --all --yes", "create *"] {
        let output = environment.run(&format!("{line} --no-checks"));
        assert_eq!(output.code, 0, "{line}: {}", output.stderr);
    }
    let everything = (FIRST.to_owned(), vec!["/*".to_owned()]);
    assert_eq!(environment.accepted(), vec![everything; 3]);
    let output = environment.run("plan --all");
    assert_eq!(output.stdout, "E1EXAMPLE1ABC: 1 path\n  /*\n");
    assert_eq!(environment.run("create --all /a").code, 2);
    assert_eq!(environment.run("create --all --paths /a").code, 2);
}

#[test]
fn accepts_the_arguments_of_the_aws_cli() {
    let environment = Environment::new("positional-aws-cli");
    for line in [
        "create-invalidation --distribution-id E1EXAMPLE1ABC --paths /a /b",
        "create-invalidation --paths /a /b --distribution-id E1EXAMPLE1ABC",
        "create /a --distribution-id E1EXAMPLE1ABC --paths /b",
        "create --paths /a --paths HTTPS://www.example.com/b -d E1EXAMPLE1ABC",
    ] {
        let mut command = Command::new(PROGRAM);
        command.args(line.split(' ')).arg("--no-checks");
        let output = environment.run_program(command, "");
        assert_eq!(output.code, 0, "{line}: {}", output.stderr);
    }
    let both = (FIRST.to_owned(), vec!["/a".to_owned(), "/b".to_owned()]);
    assert_eq!(environment.accepted(), vec![both; 4]);
}
