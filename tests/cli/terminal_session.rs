//! The program in a pseudo-terminal: the menu, the prompts, progress, colors and Ctrl-C.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::environment::{Environment, FIRST, PROGRAM, account};
use crate::standin::Options;

/// How long a text can take to appear.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A terminal in which the program runs.
struct Session {
    terminal: Arc<Pty>,
    program: Child,
    /// What the program has written, with escape sequences.
    output: Arc<Mutex<String>>,
    /// How much of the output the test has found.
    position: usize,
}

impl Session {
    fn start(environment: &Environment, line: &str) -> Self {
        let (terminal, program_side) = open().expect("a terminal");
        terminal.resize(Size::new(30, 120)).expect("a size");
        let program = Command::new(PROGRAM)
            .args(line.split(' '))
            .env_clear()
            .envs(&environment.variables)
            .env("TERM", "xterm-256color")
            .current_dir(&environment.directory)
            .spawn(program_side)
            .expect("a program that starts");
        let terminal = Arc::new(terminal);
        let output = Arc::new(Mutex::new(String::new()));
        let (reader, written) = (Arc::clone(&terminal), Arc::clone(&output));
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // When the program has ended, the read fails.
            while let Ok(count @ 1..) = (&*reader).read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                written.lock().expect("the output").push_str(&text);
            }
        });
        Self {
            terminal,
            program,
            output,
            position: 0,
        }
    }

    fn output(&self) -> String {
        self.output.lock().expect("the output").clone()
    }

    /// Waits until the text appears after what was found before.
    fn wait_for(&mut self, text: &str) {
        let started = Instant::now();
        loop {
            let output = self.output();
            let rest = &output[self.position..];
            if let Some(start) = rest.find(text) {
                self.position += start + text.len();
                return;
            }
            assert!(started.elapsed() < MAX_WAIT, "{text:?} is not in {rest:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the text appears anywhere in the output without escape sequences.
    fn wait_for_plain(&mut self, text: &str) {
        let started = Instant::now();
        loop {
            let plain = without_escape_sequences(&self.output());
            if plain.contains(text) {
                return;
            }
            assert!(started.elapsed() < MAX_WAIT, "{text:?} is not in {plain:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        (&*self.terminal)
            .write_all(keys.as_bytes())
            .expect("keys pressed");
    }

    fn assert_exit_code(mut self, code: i32) {
        let status = self.program.wait().expect("an exit status");
        assert_eq!(status.code(), Some(code), "{}", self.output());
    }
}

/// Removes the sequences that move the cursor and color the text.
fn without_escape_sequences(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A letter ends the sequence.
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[test]
fn shows_a_menu_and_confirms_before_everything_is_invalidated() {
    let environment = Environment::new("terminal-menu");
    let mut session = Session::start(&environment, "create");
    session.wait_for("Which distribution?");
    session.wait_for(
        "E1EXAMPLE1ABC  www.example.com example.com d111111abcdef8.cloudfront.net  Marketing",
    );
    session.wait_for("(disabled)");
    session.press("app.exam");
    session.wait_for_plain("Which distribution? app.exam");
    session.press("\r");
    session.wait_for("No paths are given. Invalidate /*, everything on E7EXAMPLE1ABC?");
    session.press("y\r");
    session.wait_for("E7EXAMPLE1ABC: submitted as ");
    session.assert_exit_code(0);
    assert_eq!(
        environment.accepted(),
        [("E7EXAMPLE1ABC".to_owned(), vec!["/*".to_owned()])]
    );
}

#[test]
fn sends_nothing_if_the_user_declines() {
    let environment = Environment::new("terminal-declined");
    let mut session = Session::start(&environment, "create -d E1EXAMPLE1ABC");
    session.wait_for("No paths are given.");
    session.press("\r");
    session.wait_for("nothing was sent");
    session.assert_exit_code(1);
    let mut session = Session::start(&environment, "create");
    session.wait_for("Which distribution?");
    session.press("\u{1b}");
    session.wait_for("nothing was chosen");
    session.assert_exit_code(1);
    assert_eq!(environment.accepted(), []);
}

#[test]
fn ctrl_c_at_a_prompt_sends_nothing_and_ends_with_130() {
    let environment = Environment::new("terminal-interrupted");
    let mut session = Session::start(&environment, "create -d E1EXAMPLE1ABC");
    session.wait_for("No paths are given.");
    session.press("\u{3}");
    session.wait_for("nothing was sent, because you stopped the prompt");
    session.assert_exit_code(130);
    let mut session = Session::start(&environment, "create");
    session.wait_for("Which distribution?");
    session.press("\u{3}");
    session.wait_for("nothing was chosen");
    session.assert_exit_code(130);
    assert_eq!(environment.accepted(), []);
}

#[test]
fn shows_the_progress_of_the_checks() {
    let options = Options {
        latency: Duration::from_millis(200),
        completes_after: Duration::ZERO,
        ..account()
    };
    let mut environment = Environment::with_options("terminal-checks", options);
    environment.run(&format!("create -d {FIRST} /a --no-checks --quiet"));
    let mut session = Session::start(&environment, &format!("create -d {FIRST} /b --yes"));
    session.wait_for("checking recent invalidations and the month's free paths");
    session.wait_for("listing the invalidations of 7 distributions");
    session.wait_for("999 of 1,000 free paths are left this month");
    session.wait_for("submitted as ");
    session.assert_exit_code(0);
}

#[test]
fn shows_what_is_sent_before_paths_are_billed() {
    let options = Options {
        completes_after: Duration::ZERO,
        ..account()
    };
    let mut environment = Environment::with_options("terminal-billed", options);
    let used: String = (0..1_000).map(|number| format!("/{number}\n")).collect();
    let create = format!("create -d {FIRST} --paths-from - --no-checks --quiet");
    environment.run_with_input(&create, &used);
    environment.write("keys.txt", "a.html\nb.html\n");
    let create = "create -d E7EXAMPLE1ABC --keys-from keys.txt --literal-keys";
    for (answer, code) in [("n", 1), ("y", 0)] {
        let mut session = Session::start(&environment, create);
        session.wait_for("2 paths are billed, about $0.01");
        session.wait_for("E7EXAMPLE1ABC: 2 objects would become 2 paths");
        session.wait_for("/a.html");
        session.wait_for("/b.html");
        session.wait_for("Send it despite the warnings?");
        session.press(&format!("{answer}\r"));
        session.wait_for(if code == 0 {
            "submitted as "
        } else {
            "nothing was sent"
        });
        session.assert_exit_code(code);
    }
    let paths = vec!["/a.html".to_owned(), "/b.html".to_owned()];
    let expected = ("E7EXAMPLE1ABC".to_owned(), paths);
    assert_eq!(environment.accepted()[1..], [expected]);
}

#[test]
fn shows_progress_and_ctrl_c_stops_waiting_only() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let environment = Environment::with_options("terminal-ctrl-c", options);
    let mut session = Session::start(&environment, &format!("create -d {FIRST} /a --wait"));
    session.wait_for("submitted as ");
    session.wait_for("waiting for completion (Ctrl-C stops waiting, not the invalidation)");
    // The line is drawn again with the elapsed time.
    session.wait_for("waiting for completion");
    session.press("\u{3}");
    session.wait_for("stopped waiting; ");
    session.wait_for(
        "was submitted, and CloudFront still completes it; check it with `cf-invalidate status -d E1EXAMPLE1ABC ",
    );
    session.assert_exit_code(130);
    // The same request needs a confirmation while the first is in progress.
    let mut session = Session::start(&environment, &format!("create -d {FIRST} /a"));
    session.wait_for("is in progress and covers all of these paths");
    session.wait_for("Send it despite the warnings?");
    session.press("n\r");
    session.wait_for("nothing was sent");
    session.assert_exit_code(1);
    assert_eq!(environment.accepted().len(), 1);
}

/// Returns an environment whose edge refuses connections.
fn environment_without_edge(name: &str) -> Environment {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let edge = listener.local_addr().expect("an address");
    drop(listener);
    let mut environment = Environment::new(name);
    environment.set("EDGE_ENDPOINT_URL", &format!("http://{edge}"));
    environment
}

#[test]
fn verdicts_have_colors_on_a_terminal() {
    let environment = environment_without_edge("terminal-verify");
    let mut session = Session::start(&environment, &format!("verify -d {FIRST} /a.html"));
    session.wait_for("\u{1b}[33munseen\u{1b}[0m   https://www.example.com/a.html");
    session.wait_for("nothing could be verified");
    session.assert_exit_code(3);
}

#[test]
fn a_verification_shows_one_progress_line_at_a_time() {
    let environment = environment_without_edge("terminal-verify-progress");
    let mut session = Session::start(&environment, &format!("verify -d {FIRST} /a.html"));
    session.wait_for("verifying: ");
    session.wait_for("nothing could be verified");
    let output = session.output();
    // A second line would be drawn behind the first, which then stays on the screen.
    assert!(!output.contains("listing the invalidations"), "{output}");
}

#[test]
fn ctrl_c_stops_a_verification_and_keeps_the_invalidation() {
    // It accepts connections and never responds.
    let edge = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", edge.local_addr().expect("an address"));
    let mut environment = Environment::new("terminal-verify-ctrl-c");
    environment.set("EDGE_ENDPOINT_URL", &url);
    for (line, message) in [
        (
            format!("verify -d {FIRST} /a.html"),
            "stopped the verification",
        ),
        (
            format!("create -d {FIRST} /a.html --verify --no-checks"),
            "not verified: stopped the verification",
        ),
    ] {
        let mut session = Session::start(&environment, &line);
        session.wait_for("verifying: requesting www.example.com");
        session.press("\u{3}");
        session.wait_for(message);
        session.assert_exit_code(130);
    }
    assert_eq!(environment.accepted().len(), 1);
}

#[test]
fn uses_colors_on_a_terminal_only_and_honors_no_color() {
    let mut environment = Environment::new("terminal-colors");
    let is_colored = |environment: &Environment| {
        let mut session = Session::start(environment, "create -d nothing /a");
        session.wait_for("error:");
        session.wait_for("is neither a distribution id");
        let output = session.output();
        session.assert_exit_code(2);
        output.contains("\u{1b}[")
    };
    assert!(is_colored(&environment));
    environment.set("NO_COLOR", "1");
    assert!(!is_colored(&environment));
    environment.unset("NO_COLOR");
    let output = environment.run("create -d nothing /a");
    assert!(!output.stderr.contains('\u{1b}'));
}
