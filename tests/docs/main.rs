//! Reads every fenced block of README.md, CONTRIBUTING.md and docs/*.md, the files of examples/ and the examples in
//! `--help`, and checks that what they show works.
//!
//! A `cf-invalidate` command is parsed with the program's own argument parser, but not run. A configuration, a batch
//! and `UserParameters` are read by the code that reads them in production. `check.py` checks AWS CLI commands,
//! resources, policies, events and the tables of parameters, because it can use the packages of the tools' environment.

mod shell;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use cloudfront_invalidator::cli::Arguments;
use cloudfront_invalidator::trigger::codepipeline::Job;
use saphyr_parser::Event;
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = "cf-invalidate";
const LANGUAGES: [&str; 11] = [
    "bash",
    "console",
    "javascript",
    "json",
    "mermaid",
    "python",
    "sh",
    "text",
    "toml",
    "yaml",
    "yml",
];

/// A fenced block, or a file of examples/.
struct Block {
    file: String,
    /// The line of the file before the block's first.
    line: usize,
    language: String,
    text: String,
}

impl Block {
    /// Returns a problem of the block's line, which is counted from 0.
    fn problem(&self, line: usize, message: impl std::fmt::Display) -> String {
        format!("{}:{}: {message}", self.file, self.line + line + 1)
    }
}

/// Returns the files of a directory with this extension, as paths from the root of the repository.
fn files(directory: &str, extension: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(Path::new(ROOT).join(directory)) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(extension))
        .map(|name| format!("{directory}/{name}"))
        .collect();
    files.sort();
    files
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(Path::new(ROOT).join(file)).ok()
}

/// Returns the blocks of all documents. <https://spec.commonmark.org/0.31.2/#fenced-code-blocks>
fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for file in ["README.md", "CONTRIBUTING.md"]
        .map(str::to_owned)
        .into_iter()
        .chain(files("docs", ".md"))
    {
        let Some(document) = read(&file) else {
            continue;
        };
        let mut lines = document.lines().enumerate();
        while let Some((line, opening)) = lines.next() {
            let fence = opening.trim_start();
            let ticks = fence.len() - fence.trim_start_matches('`').len();
            if ticks < 3 {
                continue;
            }
            let indent = opening.len() - fence.len();
            let text = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != &fence[..ticks])
                .flat_map(|line| [line.get(indent..).unwrap_or_default(), "\n"])
                .collect();
            blocks.push(Block {
                file: file.clone(),
                line: line + 1,
                language: fence[ticks..].trim().to_owned(),
                text,
            });
        }
    }
    blocks
}

/// Returns the files of examples/ as blocks.
fn examples() -> impl Iterator<Item = Block> {
    [("sh", ".sh"), ("yaml", ".yml")]
        .into_iter()
        .flat_map(|(language, extension)| {
            files("examples", extension)
                .into_iter()
                .map(move |file| Block {
                    text: read(&file).unwrap_or_default(),
                    file,
                    line: 0,
                    language: language.to_owned(),
                })
        })
}

/// Parses the `cf-invalidate` commands of a script, and returns how many there are.
fn check_script(block: &Block, line: usize, script: &str, problems: &mut Vec<String>) -> usize {
    let commands = match shell::commands(script) {
        Ok(commands) => commands,
        Err(message) => {
            problems.push(block.problem(line, message));
            return 0;
        }
    };
    let commands = commands
        .into_iter()
        .filter(|command| command.words[0] == PROGRAM);
    let mut count = 0;
    for command in commands {
        count += 1;
        let line = line + command.line;
        if command.unquoted_star {
            problems.push(block.problem(line, "the shell expands the * outside of quotes"));
        }
        if let Err(error) = Arguments::try_parse_from(&command.words)
            && !matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            )
        {
            let message = format!("{}\n{error}", command.words.join(" "));
            problems.push(block.problem(line, message));
        }
    }
    count
}

/// Checks each value of a YAML document that contains the program's name as a script, and each `UserParameters`.
fn check_yaml(block: &Block, problems: &mut Vec<String>) -> usize {
    let mut count = 0;
    let mut previous = String::new();
    for event in saphyr_parser::Parser::new_from_str(&block.text) {
        match event {
            Ok((Event::Scalar(text, ..), span)) => {
                let line = span.start.line() - 1;
                if text.contains(PROGRAM) {
                    count += check_script(block, line, &text, problems);
                }
                if previous == "UserParameters" {
                    problems.extend(user_parameters_problem(block, line, &text));
                }
                previous = text.into_owned();
            }
            Ok(_) => {}
            Err(error) => {
                problems.push(block.problem(error.marker().line() - 1, error.info()));
                break;
            }
        }
    }
    count
}

/// Reads `UserParameters` as the function does.
fn user_parameters_problem(block: &Block, line: usize, text: &str) -> Option<String> {
    let configuration = json!({"UserParameters": text});
    let job = json!({"id": "1", "data": {"actionConfiguration": {"configuration": configuration}}});
    let request = Job::from_event(&job).and_then(|job| job.request());
    request.err().map(|error| block.problem(line, error))
}

/// Runs `plan`, which calls nothing with a path and an ID, where this file is.
fn plan_problem(block: &Block, file: &str, arguments: &[&str]) -> Option<String> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("docs")
        .join(file);
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join(file), &block.text).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_cf-invalidate"))
        .args(["plan", "--offline", "-d", "E2EXAMPLE1ABCD"])
        .args(arguments)
        .current_dir(&directory)
        .env_clear()
        .env("HOME", &directory)
        .output()
        .expect("the program");
    let message = String::from_utf8_lossy(&output.stderr);
    (!output.status.success()).then(|| block.problem(0, message.trim_end()))
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_block_has_a_known_language() {
    let problems: Vec<_> = blocks()
        .iter()
        .filter(|block| !LANGUAGES.contains(&block.language.as_str()))
        .map(|block| {
            let message = format!("language {:?} is not one of {LANGUAGES:?}", block.language);
            // The fence is the line before the block.
            format!("{}:{}: {message}", block.file, block.line)
        })
        .collect();
    assert_none(&problems);
}

#[test]
fn json_blocks_parse() {
    let mut problems = Vec::new();
    for block in blocks().iter().filter(|block| block.language == "json") {
        match serde_json::from_str::<Value>(&block.text) {
            // tests/cli/event_samples.rs compares what a direct invocation returns.
            Ok(value) if value.get("exit_code").is_some() => {}
            Ok(value) if value.get("distribution").is_some() || value.get("paths").is_some() => {
                problems.extend(user_parameters_problem(block, 0, &block.text));
            }
            Ok(value) if value.get("CallerReference").is_some() => {
                let arguments = ["--batch", "batch.json"];
                problems.extend(plan_problem(block, "batch.json", &arguments));
            }
            Ok(_) => {}
            Err(error) => problems.push(block.problem(error.line().saturating_sub(1), error)),
        }
    }
    assert_none(&problems);
}

#[test]
fn toml_blocks_parse() {
    let mut problems = Vec::new();
    for block in blocks().iter().filter(|block| block.language == "toml") {
        match block.text.parse::<toml::Table>() {
            Ok(table) if table.contains_key("sites") => {
                problems.extend(plan_problem(block, "cf-invalidate.toml", &["/index.html"]));
            }
            Ok(_) => {}
            Err(error) => problems.push(block.problem(0, error)),
        }
    }
    assert_none(&problems);
}

#[test]
fn commands_parse() {
    let mut problems = Vec::new();
    let mut count = 0;
    for block in blocks().into_iter().chain(examples()) {
        count += match block.language.as_str() {
            "bash" | "sh" => check_script(&block, 0, &block.text, &mut problems),
            "yaml" | "yml" => check_yaml(&block, &mut problems),
            _ => 0,
        };
    }
    assert_none(&problems);
    assert!(count > 0, "no command was found");
}

#[test]
fn examples_in_help_parse() {
    let mut problems = Vec::new();
    let mut program = Arguments::command();
    program.build();
    for subcommand in program.get_subcommands() {
        // Without a width, no line is wrapped.
        let help = subcommand
            .clone()
            .term_width(0)
            .render_long_help()
            .to_string();
        let block = Block {
            file: format!("{PROGRAM} {} --help", subcommand.get_name()),
            line: 0,
            language: "sh".to_owned(),
            text: help,
        };
        for (number, line) in block.text.lines().enumerate() {
            let is_command =
                line.trim_start().starts_with(PROGRAM) || line.contains(&format!("| {PROGRAM} "));
            if line.starts_with(' ') && is_command {
                check_script(&block, number, line, &mut problems);
            }
        }
    }
    assert_none(&problems);
}
