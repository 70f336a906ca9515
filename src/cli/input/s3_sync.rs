//! The output of `aws s3 sync`, `cp`, `mv` and `rm`: which objects were written or deleted.
//!
//! ```text
//! upload: public/index.html to s3://site/index.html
//! copy: s3://staging/a.html to s3://site/a.html
//! move: s3://site/old.html to s3://site/new.html
//! delete: s3://site/gone.html
//! (dryrun) upload: public/b.html to s3://site/b.html
//! ```
//!
//! Progress is written over with a carriage return, and what then stands on the line is padded with spaces to hide it;
//! so white space at the end is the CLI's, and a key that ends in white space cannot be told. A local file's name has
//! no `//` in it, so the first ` to s3://` is the one between the two.

use super::Object;

const DRY_RUN: &str = "(dryrun) ";

/// What the AWS CLI says that it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Synced {
    pub objects: Vec<Object>,
    /// Whether it only says what it would do.
    pub dry_run: bool,
    /// Lines that tell of failures.
    failures: Vec<String>,
    /// How many objects went to this machine: nothing that viewers see.
    downloads: usize,
    unknown: Vec<String>,
}

/// Reads the output; an error tells that it is none.
pub(super) fn parse(text: &str) -> Result<Synced, String> {
    let mut synced = Synced::default();
    let lines = text.lines().filter_map(|line| {
        let shown = line.trim_end().rsplit('\r').next().unwrap_or_default();
        Some(shown.trim_end()).filter(|shown| !shown.is_empty())
    });
    for line in lines {
        synced.add(line);
    }
    let understood = synced.objects.len() + synced.failures.len() + synced.downloads;
    match synced.unknown.first() {
        Some(first) if understood == 0 => Err(format!(
            "{first:?} is no line that `aws s3 sync` writes, nor is any other: give keys with --keys-from, paths with \
             --paths-from"
        )),
        _ => Ok(synced),
    }
}

impl Synced {
    fn add(&mut self, line: &str) {
        let done = line.strip_prefix(DRY_RUN);
        let dry_run = done.is_some();
        let done = done.unwrap_or(line);
        let changed = match done.split_once(": ") {
            Some((kind @ ("upload" | "copy" | "move"), both)) => transferred(both, kind == "move"),
            // `aws s3 sync --delete` deletes on this machine where it syncs from S3.
            Some(("delete", one)) => Some(object(one).into_iter().collect()),
            Some(("download", _)) => Some(vec![]),
            Some((kind, _)) if kind.ends_with(" failed") || kind.ends_with("error") => {
                return self.failures.push(line.to_owned());
            }
            _ if is_progress(line) => return,
            _ => None,
        };
        match changed {
            None => self.unknown.push(line.to_owned()),
            Some(objects) if objects.is_empty() => self.downloads += 1,
            Some(objects) => {
                self.dry_run |= dry_run;
                self.objects.extend(objects);
            }
        }
    }

    /// Returns, in words, what a person should know of the rest.
    pub(super) fn note(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(first) = self.failures.first() {
            notes.push(format!(
                "aws s3 failed with {} of the objects, which are left out, such as: {first}",
                self.failures.len()
            ));
        }
        if let Some(first) = self.unknown.first() {
            notes.push(format!(
                "{} of the lines are not understood, such as: {first}",
                self.unknown.len()
            ));
        }
        notes
    }
}

/// Reads `SOURCE to TARGET`, of which a move changes both.
fn transferred(both: &str, moved: bool) -> Option<Vec<Object>> {
    let Some((source, target)) = both.split_once(" to s3://") else {
        // It went to this machine.
        let (source, _) = both.split_once(" to ")?;
        let source = object(source)?;
        return Some(if moved { vec![source] } else { vec![] });
    };
    let mut objects = vec![object(&format!("s3://{target}"))?];
    objects.extend(object(source).filter(|_| moved));
    Some(objects)
}

fn object(text: &str) -> Option<Object> {
    let (bucket, key) = text.strip_prefix("s3://")?.split_once('/')?;
    if bucket.is_empty() || key.is_empty() {
        return None;
    }
    Some(Object {
        bucket: Some(bucket.to_owned()),
        key: key.to_owned(),
    })
}

fn is_progress(line: &str) -> bool {
    line.starts_with("Completed ") && line.contains(" remaining")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the AWS CLI 1.46 wrote while it worked on a local S3; see `tests/cli/recorded/README.md`.
    macro_rules! recorded {
        ($name:literal) => {
            include_str!(concat!("../../../tests/cli/recorded/", $name, ".txt"))
        };
    }

    fn told(text: &str) -> (Vec<String>, Vec<String>) {
        let synced = parse(text).expect("an output");
        let objects = synced.objects.iter();
        let told = objects.map(|object| {
            format!(
                "{}:{}",
                object.bucket.as_deref().unwrap_or_default(),
                object.key
            )
        });
        (told.collect(), synced.note())
    }

    #[test]
    fn reads_what_the_aws_cli_wrote() {
        let all = [
            " leading.html",
            "a+b & c.html",
            "assets/app.min.js",
            "assets/film.mp4",
            "blog/caf\u{e9}.html",
            "blog/\u{65e5}\u{672c}\u{8a9e}.html",
            "index.html",
            "my dir/my page.html",
            "to s3: not.html",
            "two  spaces.html",
        ];
        let left = all
            .iter()
            .filter(|key| !key.contains("caf") && !key.contains("my "))
            .copied();
        let left: Vec<_> = left.collect();
        let deleted = vec!["blog/caf\u{e9}.html", "index.html", "my dir/my page.html"];
        for (text, bucket, prefix, keys) in [
            (recorded!("sync-upload"), "site", "", all.to_vec()),
            (recorded!("sync-terminal"), "site", "pty/", left.clone()),
            (recorded!("sync-copy"), "copies", "prod/", left),
            (recorded!("sync-delete"), "site", "", deleted.clone()),
            (recorded!("sync-dryrun"), "site", "", deleted),
            (recorded!("sync-nothing"), "site", "", vec![]),
            (recorded!("sync-download"), "site", "", vec![]),
            (
                recorded!("cp-recursive"),
                "site",
                "cp/assets/",
                vec!["app.min.js", "film.mp4"],
            ),
            (
                recorded!("mv"),
                "site",
                "cp/",
                vec!["index.html", "new page.html"],
            ),
            (
                recorded!("rm"),
                "site",
                "cp/",
                vec!["assets/app.min.js", "assets/film.mp4", "new page.html"],
            ),
        ] {
            let keys: Vec<_> = keys
                .iter()
                .map(|key| format!("{bucket}:{prefix}{key}"))
                .collect();
            let (mut objects, notes) = told(text);
            objects.sort();
            assert_eq!((objects, notes), (keys, vec![]));
        }
        let dry_run = parse(recorded!("sync-dryrun")).expect("an output").dry_run;
        assert!(dry_run && !parse(recorded!("sync-delete")).expect("an output").dry_run);
    }

    #[test]
    fn tells_what_it_leaves_out_and_refuses_what_is_no_output() {
        let (objects, notes) = told(recorded!("cp-failed"));
        let failed = "aws s3 failed with 1 of the objects, which are left out, such as: upload failed: site/index.html to \
                      s3://nosuchbucket/x An error occurred (NoSuchBucket) when calling the PutObject operation: The \
                      specified bucket does not exist";
        assert_eq!((objects, notes), (vec![], vec![failed.to_owned()]));
        let failed = "upload failed: a.html to s3://site/a.html An error occurred (AccessDenied)\n";
        let text = format!(
            "{failed}warning: Skipping file b. File does not exist.\nupload: c to s3://site/c\n"
        );
        let notes = [
            "aws s3 failed with 1 of the objects, which are left out, such as: upload failed: a.html to \
             s3://site/a.html An error occurred (AccessDenied)",
            "1 of the lines are not understood, such as: warning: Skipping file b. File does not exist.",
        ];
        assert_eq!(
            told(&text),
            (vec!["site:c".to_owned()], notes.map(str::to_owned).to_vec())
        );
        for (line, objects) in [
            ("copy: s3://a/x to y", vec![]),
            ("move: s3://a/x to y", vec!["a:x"]),
            ("move: x to s3://a/y", vec!["a:y"]),
            ("delete: ./x", vec![]),
            ("upload: x to s3://a/b to s3://c/d", vec!["a:b to s3://c/d"]),
        ] {
            assert_eq!(told(line).0, objects, "{line}");
        }
        let refused = "\"index.html\" is no line that `aws s3 sync` writes, nor is any other: give keys with \
                       --keys-from, paths with --paths-from";
        assert_eq!(parse("index.html\nblog/a.html"), Err(refused.to_owned()));
        assert_eq!(parse("\n"), Ok(Synced::default()));
    }
}
