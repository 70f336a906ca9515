//! Parses the output of `aws s3 sync`, `cp`, `mv` and `rm`: which objects were written or deleted.
//!
//! ```text
//! upload: public/index.html to s3://site/index.html
//! copy: s3://staging/a.html to s3://site/a.html
//! move: s3://site/old.html to s3://site/new.html
//! delete: s3://site/gone.html
//! (dryrun) upload: public/b.html to s3://site/b.html
//! ```
//!
//! The AWS CLI overwrites its progress with a carriage return and pads the next line with spaces. So only the text after
//! the last carriage return counts, and white space at the end of a key is lost. A local path contains no `//`, so the
//! first ` to s3://` separates source and target.

use super::Object;
use crate::cli::format::counted;

const DRY_RUN: &str = "(dryrun) ";

/// What the AWS CLI changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SyncOutput {
    pub objects: Vec<Object>,
    /// Whether it is the output of a dry run, so that nothing has changed.
    pub dry_run: bool,
    /// The lines that report failures.
    failures: Vec<String>,
    /// How many lines report changes of local files only, which no viewer sees.
    local_changes: usize,
    /// The lines in no known format.
    unknown: Vec<String>,
}

/// Parses the output. Returns an error if all lines are in no known format.
pub(super) fn parse(text: &str) -> Result<SyncOutput, String> {
    let mut output = SyncOutput::default();
    for line in text.lines() {
        let line = line
            .trim_end()
            .rsplit('\r')
            .next()
            .unwrap_or_default()
            .trim_end();
        if !line.is_empty() {
            output.add(line);
        }
    }
    let is_known =
        !output.objects.is_empty() || !output.failures.is_empty() || output.local_changes > 0;
    match output.unknown.first() {
        Some(first) if !is_known => Err(format!(
            "{first:?} is not a line that `aws s3 sync` writes, and neither is any other line: use --keys-from for \
             keys, --paths-from for paths"
        )),
        _ => Ok(output),
    }
}

impl SyncOutput {
    fn add(&mut self, line: &str) {
        let (dry_run, operation) = match line.strip_prefix(DRY_RUN) {
            Some(operation) => (true, operation),
            None => (false, line),
        };
        let changed = match operation.split_once(": ") {
            Some((kind @ ("upload" | "copy" | "move"), transfer)) => {
                changed_by_transfer(transfer, kind == "move")
            }
            // A sync from S3 with --delete deletes local files.
            Some(("delete", target)) => Some(parse_object(target).into_iter().collect()),
            Some(("download", _)) => Some(vec![]),
            Some((kind, _)) if kind.ends_with(" failed") || kind.ends_with("error") => {
                return self.failures.push(line.to_owned());
            }
            _ if is_progress(line) => return,
            _ => None,
        };
        match changed {
            None => self.unknown.push(line.to_owned()),
            Some(objects) if objects.is_empty() => {
                self.local_changes = self.local_changes.saturating_add(1);
            }
            Some(objects) => {
                self.dry_run |= dry_run;
                self.objects.extend(objects);
            }
        }
    }

    /// Returns what was left out, for the user.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(first) = self.failures.first() {
            let objects = counted(self.failures.len(), "object");
            notes.push(format!(
                "left out {objects} for which aws s3 failed, such as: {first}"
            ));
        }
        if let Some(first) = self.unknown.first() {
            let lines = counted(self.unknown.len(), "line");
            notes.push(format!(
                "ignored {lines} in no known format, such as: {first}"
            ));
        }
        notes
    }
}

/// Parses `SOURCE to TARGET`, and returns the objects that changed: the target, and the source of a move.
fn changed_by_transfer(transfer: &str, is_move: bool) -> Option<Vec<Object>> {
    let Some((source, target)) = transfer.split_once(" to s3://") else {
        // The target is a local file.
        let (source, _) = transfer.split_once(" to ")?;
        let source = parse_object(source)?;
        return Some(if is_move { vec![source] } else { vec![] });
    };
    let mut objects = vec![parse_object(&format!("s3://{target}"))?];
    objects.extend(parse_object(source).filter(|_| is_move));
    Some(objects)
}

fn parse_object(url: &str) -> Option<Object> {
    let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
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

    /// The output of the AWS CLI 1.46 against a local S3; see `tests/cli/recorded/README.md`.
    macro_rules! recorded {
        ($name:literal) => {
            include_str!(concat!("../../../tests/cli/recorded/", $name, ".txt"))
        };
    }

    fn objects_and_notes(text: &str) -> (Vec<String>, Vec<String>) {
        let output = parse(text).expect("an output");
        let objects = output.objects.iter().map(|object| {
            format!(
                "{}:{}",
                object.bucket.as_deref().unwrap_or_default(),
                object.key
            )
        });
        (objects.collect(), output.notes())
    }

    #[test]
    fn reads_recorded_output_of_the_aws_cli() {
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
        let without_deleted = all
            .iter()
            .filter(|key| !key.contains("caf") && !key.contains("my "))
            .copied();
        let without_deleted: Vec<_> = without_deleted.collect();
        let deleted = vec!["blog/caf\u{e9}.html", "index.html", "my dir/my page.html"];
        for (text, bucket, prefix, keys) in [
            (recorded!("sync-upload"), "site", "", all.to_vec()),
            (
                recorded!("sync-terminal"),
                "site",
                "pty/",
                without_deleted.clone(),
            ),
            (recorded!("sync-copy"), "copies", "prod/", without_deleted),
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
            let (mut objects, notes) = objects_and_notes(text);
            objects.sort();
            assert_eq!((objects, notes), (keys, vec![]));
        }
        let dry_run = parse(recorded!("sync-dryrun")).expect("an output").dry_run;
        assert!(dry_run && !parse(recorded!("sync-delete")).expect("an output").dry_run);
    }

    #[test]
    fn notes_what_it_leaves_out_and_rejects_other_text() {
        let (objects, notes) = objects_and_notes(recorded!("cp-failed"));
        let note = "left out 1 object for which aws s3 failed, such as: upload failed: site/index.html to \
                    s3://nosuchbucket/x An error occurred (NoSuchBucket) when calling the PutObject operation: The \
                    specified bucket does not exist";
        assert_eq!((objects, notes), (vec![], vec![note.to_owned()]));
        let failed = "upload failed: a.html to s3://site/a.html An error occurred (AccessDenied)\n";
        let text = format!(
            "{failed}warning: Skipping file b. File does not exist.\nupload: c to s3://site/c\n"
        );
        let notes = [
            "left out 1 object for which aws s3 failed, such as: upload failed: a.html to s3://site/a.html An error \
             occurred (AccessDenied)",
            "ignored 1 line in no known format, such as: warning: Skipping file b. File does not exist.",
        ];
        assert_eq!(
            objects_and_notes(&text),
            (vec!["site:c".to_owned()], notes.map(str::to_owned).to_vec())
        );
        for (line, objects) in [
            ("copy: s3://a/x to y", vec![]),
            ("move: s3://a/x to y", vec!["a:x"]),
            ("move: x to s3://a/y", vec!["a:y"]),
            ("delete: ./x", vec![]),
            ("upload: x to s3://a/b to s3://c/d", vec!["a:b to s3://c/d"]),
        ] {
            assert_eq!(objects_and_notes(line).0, objects, "{line}");
        }
        let message = "\"index.html\" is not a line that `aws s3 sync` writes, and neither is any other line: use \
                       --keys-from for keys, --paths-from for paths";
        assert_eq!(parse("index.html\nblog/a.html"), Err(message.to_owned()));
        assert_eq!(parse("\n"), Ok(SyncOutput::default()));
    }
}
