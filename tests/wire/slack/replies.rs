//! The reply to each command.

use super::bed::SlackBed;

#[tokio::test]
async fn smoke() {
    for text in [
        "",
        "help",
        "all",
        "/blog/* #tag",
        "blog /a /b",
        "status",
        "status I1",
        "usage",
        "verify /a",
        "blgo /a",
        "foo",
        "/a b",
        "www.example.org /a",
    ] {
        let bed = SlackBed::start();
        let reply = bed.reply(text).await;
        println!(
            "== {text}\n{}\n  queued {:?}\n",
            reply["text"].as_str().unwrap_or_default(),
            bed.queued()
                .iter()
                .map(|m| m.body.clone())
                .collect::<Vec<_>>()
        );
    }
}
