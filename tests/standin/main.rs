//! The stand-ins as a process, for the demo.
//!
//! `standin [--port N] [--upstream URL] [--completes-after SECONDS]` prints
//! `listening on http://127.0.0.1:PORT` when it is ready, then the port of each POP
//! (`POP FRA50-P1 listening on http://127.0.0.1:PORT`), and runs until SIGTERM,
//! SIGINT or the end of its standard input. If the parent process dies, its end of
//! the pipe closes and the stand-in ends too, so the parent keeps the pipe open.
//!
//! A request whose `Host` is the domain name or an alias of one of the upstream's distributions is a viewer's, and gets
//! its response from the edge. `<label>.<POP>.cloudfront.net` selects a POP, and so does the POP's port.

#[path = "mod.rs"]
mod standin;

use std::io::{Write, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;
use std::{io, thread};

use standin::{EdgeOptions, Options, Standin};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

const USAGE: &str = "usage: standin [--port N] [--upstream URL] [--completes-after SECONDS]";

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("standin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        edge: Some(EdgeOptions::default()),
        ..Options::default()
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--port" => options.port = number(&value()?)?,
            "--upstream" => options.upstream = Some(value()?),
            "--completes-after" => {
                options.completes_after = Duration::from_secs(number(&value()?)?);
            }
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(options)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not a number in range"))
}

fn run(options: Options) -> io::Result<()> {
    let standin = Standin::bind(options)?;
    let mut stdout = stdout();
    writeln!(stdout, "listening on {}", standin.url())?;
    for (pop, name) in standin.pop_names().iter().enumerate() {
        let url = standin.pop_url(pop);
        writeln!(stdout, "POP {name} listening on {url}")?;
    }
    stdout.flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(shutdown_requested())
}

async fn shutdown_requested() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = standard_input_ends() => {}
    }
    Ok(())
}

/// Reads on a separate thread, which cannot be cancelled but ends with the process.
fn standard_input_ends() -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut stdin().lock(), &mut io::sink());
        drop(ended);
    });
    end
}
