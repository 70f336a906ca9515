//! What a person sees and does: the menu, the questions, the progress, Ctrl-C, in a real terminal.

use std::io::{Read, Write};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::bed::{Bed, FIRST, PROGRAM, account};
use crate::standin::Options;

const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with the program in it.
struct Screen {
    terminal: Arc<Pty>,
    child: Child,
    shown: Arc<Mutex<String>>,
    /// How much of it was seen.
    seen: usize,
}

impl Screen {
    fn start(bed: &Bed, line: &str) -> Self {
        let (terminal, inside) = open().expect("a terminal");
        terminal.resize(Size::new(30, 120)).expect("a size");
        let child = Command::new(PROGRAM)
            .args(line.split(' '))
            .env_clear()
            .envs(&bed.variables)
            .env("TERM", "xterm-256color")
            .current_dir(&bed.directory)
            .spawn(inside)
            .expect("a program that starts");
        let terminal = Arc::new(terminal);
        let shown = Arc::new(Mutex::new(String::new()));
        let (reader, screen) = (Arc::clone(&terminal), Arc::clone(&shown));
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // The end of the program is an error on this side.
            while let Ok(count @ 1..) = (&*reader).read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                screen.lock().expect("the screen").push_str(&text);
            }
        });
        Self {
            terminal,
            child,
            shown,
            seen: 0,
        }
    }

    /// Waits until this is shown, behind what was seen before.
    fn see(&mut self, text: &str) {
        let began = Instant::now();
        loop {
            let shown = self.shown.lock().expect("the screen").clone();
            if let Some(at) = shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{text:?} is not in {:?}",
                &shown[self.seen..]
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until this is shown, colours and the cursor's moves left out.
    fn see_plain(&mut self, text: &str) {
        let began = Instant::now();
        loop {
            let shown = plain(&self.shown.lock().expect("the screen"));
            if shown.contains(text) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{text:?} is not in {shown:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        (&*self.terminal)
            .write_all(keys.as_bytes())
            .expect("keys pressed");
    }

    fn ends(mut self, code: i32) {
        let ended = self.child.wait().expect("an end");
        let shown = self.shown.lock().expect("the screen");
        assert_eq!(ended.code(), Some(code), "{shown}");
    }
}

/// Takes out what moves the cursor and colours the text.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                let in_sequence = |c: &char| !c.is_ascii_alphabetic();
                rest.by_ref().find(|c| !in_sequence(c));
            }
            _ => plain.push(c),
        }
    }
    plain
}

#[test]
fn lets_a_person_choose_and_asks_before_everything_goes() {
    let bed = Bed::new("person-menu");
    let mut screen = Screen::start(&bed, "create");
    screen.see("Which distribution?");
    screen
        .see("E1EXAMPLE1ABC  www.example.com example.com d111111abcdef8.cloudfront.net  Marketing");
    screen.see("(disabled)");
    screen.press("app.exam");
    screen.see_plain("Which distribution? app.exam");
    screen.press("\r");
    screen.see("No paths are given. Invalidate /*, everything on E7EXAMPLE1ABC?");
    screen.press("y\r");
    screen.see("E7EXAMPLE1ABC: submitted as ");
    screen.ends(0);
    assert_eq!(
        bed.taken(),
        [("E7EXAMPLE1ABC".to_owned(), vec!["/*".to_owned()])]
    );
}

#[test]
fn sends_nothing_that_was_declined() {
    let bed = Bed::new("person-no");
    let mut screen = Screen::start(&bed, "create -d E1EXAMPLE1ABC");
    screen.see("No paths are given.");
    screen.press("\r");
    screen.see("nothing was sent");
    screen.ends(1);
    let mut screen = Screen::start(&bed, "create");
    screen.see("Which distribution?");
    screen.press("\u{1b}");
    screen.see("nothing was chosen");
    screen.ends(1);
    assert_eq!(bed.taken(), []);
}

#[test]
fn shows_progress_and_leaves_the_invalidation_at_ctrl_c() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let bed = Bed::with("person-ctrl-c", options);
    let mut screen = Screen::start(&bed, &format!("create -d {FIRST} /a --wait"));
    screen.see("submitted as ");
    screen.see("waiting for the edge (Ctrl-C leaves it on its way)");
    // It goes on: the time is shown anew.
    screen.see("waiting for the edge");
    screen.press("\u{3}");
    screen.see("no longer waited for; ");
    screen.see("was submitted and goes on; ask with `cf-invalidate status -d E1EXAMPLE1ABC ");
    screen.ends(3);
    // The same again is asked about, as it is on its way.
    let mut screen = Screen::start(&bed, &format!("create -d {FIRST} /a"));
    screen.see("is in progress and covers all of these paths");
    screen.see("Send it all the same?");
    screen.press("n\r");
    screen.see("nothing was sent");
    screen.ends(1);
    assert_eq!(bed.taken().len(), 1);
}

#[test]
fn is_coloured_in_a_terminal_only_and_only_where_that_is_welcome() {
    let mut bed = Bed::new("person-colours");
    let coloured = |bed: &Bed| {
        let mut screen = Screen::start(bed, "create -d nothing /a");
        screen.see("error:");
        screen.see("is neither a distribution id");
        let shown = screen.shown.lock().expect("the screen").clone();
        screen.ends(2);
        shown.contains("\u{1b}[")
    };
    assert!(coloured(&bed));
    bed.set("NO_COLOR", "1");
    assert!(!coloured(&bed));
    bed.unset("NO_COLOR");
    assert!(!bed.run("create -d nothing /a").stderr.contains('\u{1b}'));
}
