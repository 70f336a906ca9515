//! Parses the output of `aws s3 sync`, `cp`, `mv` and `rm`: which objects were written or deleted.
//!
//! ```text
//! upload: public/index.html to s3://site/index.html
//! copy: s3://staging/a.html to s3://site/a.html
//! move: s3://site/old.html to s3://site/new.html
//! delete: s3://site/gone.html
//! (dryrun) upload: public/b.html to s3://site/b.html
//! upload failed: public/c.html to s3://site/c.html An error occurred (AccessDenied) when calling …
//! ```
//!
//! Each line is understood, or it is an error: a line that is left out can be a change that no viewer sees. The AWS CLI
//! overwrites its progress with a carriage return and pads the next line with spaces. So only the text after the last
//! carriage return counts, and white space at the end of a key is lost. A local path contains no `//`, so the first
//! ` to s3://` separates source and target. Formats:
//! [`ResultPrinter`](https://github.com/aws/aws-cli/blob/develop/awscli/customizations/s3/results.py).

use std::collections::{BTreeMap, BTreeSet};

use super::Object;
use crate::cli::format::counted;
use crate::site::Change;

const DRY_RUN: &str = "(dryrun) ";

/// How a failure continues after the object, if S3 or the local file system refused the change.
const REFUSED: [&str; 2] = [" An error occurred (", " [Errno "];

/// How a failure continues after the object, if S3 has possibly made the change, and its response was lost. From
/// [`botocore.exceptions`](https://github.com/boto/botocore/blob/develop/botocore/exceptions.py).
const UNANSWERED: [&str; 2] = [
    " Read timeout on endpoint URL: ",
    " Connection was closed before we received a valid response from endpoint URL: ",
];

/// Suffixes of the aliases of access points, which stand in the place of a bucket's name and which no bucket can have:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
const ALIASES: [&str; 3] = ["-s3alias", "--ol-s3", "--op-s3"];

/// What the AWS CLI changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SyncOutput {
    /// The objects that were written or deleted, and those of failures that have possibly changed. The bucket of an access
    /// point is unknown.
    pub objects: BTreeMap<Object, Change>,
    /// The local files of the objects that were uploaded.
    pub sources: BTreeMap<Object, String>,
    /// The objects that were deleted, at least possibly, before they were written: a viewer can have requested them meanwhile.
    pub written_again: BTreeSet<Object>,
    /// Whether it is the output of a dry run, so that nothing has changed.
    pub dry_run: bool,
    /// The lines that report failures.
    pub failures: Vec<String>,
}

/// Parses the output. The error contains the number of the first line that is in no known format.
pub(super) fn parse(text: &str) -> Result<SyncOutput, String> {
    let mut output = SyncOutput::default();
    let last = text.lines().count().saturating_sub(1);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let (overwritten, shown) = line.rsplit_once('\r').unwrap_or(("", line));
        let line = parse_line(shown).filter(|_| overwritten.split('\r').all(is_without_change));
        let line = line.ok_or_else(|| {
            format!(
                "line {}: {shown:?} is not a line that `aws s3 sync`, `cp`, `mv` or `rm` writes: give its standard \
                 output alone, or use --keys-from for keys, --paths-from for paths",
                index.saturating_add(1)
            )
        })?;
        // The AWS CLI ends each line, so the key of such a line is possibly cut off.
        if matches!(line, Line::Changed { .. }) && index == last && !text.ends_with('\n') {
            return Err(format!(
                "line {}: {shown:?} has no line end, so it is possibly cut off: run `aws s3` again, or add the line end",
                index.saturating_add(1)
            ));
        }
        output.add(line, shown);
    }
    Ok(output)
}

/// Returns whether the AWS CLI writes such a line.
pub(super) fn is_line(line: &str) -> bool {
    parse_line(line).is_some()
}

/// What a line reports.
enum Line {
    /// No object in a bucket has changed.
    NoChange,
    Changed {
        written: Option<Object>,
        /// The local file of an upload.
        source: Option<String>,
        deleted: Vec<Object>,
        dry_run: bool,
    },
    /// A change failed, but these objects have possibly changed.
    Failed { possibly_changed: Vec<Object> },
}

impl SyncOutput {
    fn add(&mut self, line: Line, text: &str) {
        match line {
            Line::NoChange => {}
            Line::Changed {
                written,
                source,
                deleted,
                dry_run,
            } => {
                self.dry_run |= dry_run;
                // The end of a key that contains ` to ` is not known.
                let change = match deleted.len() {
                    1 => Change::removed(),
                    _ => Change::default(),
                };
                let deleted = deleted.into_iter();
                self.objects.extend(deleted.map(|object| (object, change)));
                if let Some(object) = written {
                    let previous = self.objects.insert(object.clone(), Change::written());
                    if previous.is_some_and(|previous| previous.exists != Some(true)) {
                        self.written_again.insert(object.clone());
                    }
                    match source {
                        Some(source) => self.sources.insert(object, source),
                        None => self.sources.remove(&object),
                    };
                }
            }
            Line::Failed { possibly_changed } => {
                let unknown = possibly_changed.into_iter();
                self.objects
                    .extend(unknown.map(|object| (object, Change::default())));
                self.failures.push(text.trim_end().to_owned());
            }
        }
    }

    /// Returns what was left out, for the user.
    pub(super) fn note(&self) -> Option<String> {
        let first = self.failures.first()?;
        let failures = counted(self.failures.len(), "failure");
        Some(format!("aws s3 reports {failures}, such as: {first}"))
    }
}

/// Parses a line without its progress; `None` if the AWS CLI does not write such a line.
fn parse_line(line: &str) -> Option<Line> {
    let line = line.trim_end();
    if is_without_change(line) || line.starts_with("warning: ") {
        return Some(Line::NoChange);
    }
    let (dry_run, operation) = match line.strip_prefix(DRY_RUN) {
        Some(operation) => (true, operation),
        None => (false, line),
    };
    let (kind, transfer) = operation.split_once(": ")?;
    let changed = |written, deleted| Line::Changed {
        written,
        source: None,
        deleted,
        dry_run,
    };
    Some(match kind {
        "upload" => Line::Changed {
            written: Some(target(transfer)?),
            source: source(transfer).map(str::to_owned),
            deleted: vec![],
            dry_run,
        },
        "copy" => changed(Some(target(transfer)?), vec![]),
        "move" if transfer.contains(" to s3://") => {
            let source = source(transfer)?;
            let deleted = parse_object(source);
            if deleted.is_none() && source.starts_with("s3://") {
                return None;
            }
            changed(Some(target(transfer)?), deleted.into_iter().collect())
        }
        // The key and the local file can contain ` to `, so each end of the key is possible.
        "move" => {
            let ends = transfer.match_indices(" to ");
            let sources = ends.map(|(end, _)| parse_object(transfer.get(..end)?));
            let sources = sources.collect::<Option<Vec<_>>>()?;
            if sources.is_empty() {
                return None;
            }
            changed(None, sources)
        }
        "download" => {
            parse_object(source(transfer)?)?;
            Line::NoChange
        }
        "delete" if transfer.starts_with("s3://") => changed(None, vec![parse_object(transfer)?]),
        // A sync from S3 with --delete deletes local files.
        "delete" => Line::NoChange,
        // A move fails too if only the source could not be deleted.
        "move failed" => {
            let transfer = before_error(transfer, &[&REFUSED[..], &UNANSWERED].concat());
            let objects = transfer.map(|transfer| {
                let source = source(transfer).and_then(parse_object);
                target(transfer).into_iter().chain(source).collect()
            });
            Line::Failed {
                possibly_changed: objects.unwrap_or_default(),
            }
        }
        "upload failed" | "copy failed" | "delete failed" => {
            let transfer = before_error(transfer, &UNANSWERED);
            let object = transfer.and_then(|transfer| target(transfer).or(parse_object(transfer)));
            Line::Failed {
                possibly_changed: object.into_iter().collect(),
            }
        }
        "download failed" | "fatal error" | "cancelled" => Line::Failed {
            possibly_changed: vec![],
        },
        _ => return None,
    })
}

/// Returns whether the text is empty or progress.
fn is_without_change(text: &str) -> bool {
    let text = text.trim_end();
    text.is_empty() || text.starts_with("Completed ") && text.contains(" file(s) remaining")
}

/// Returns the text before the first of the errors; `None` without one, because then the end of the key is unknown.
fn before_error<'a>(transfer: &'a str, errors: &[&str]) -> Option<&'a str> {
    let mut errors = errors.iter();
    errors.find_map(|error| Some(transfer.split_once(error)?.0))
}

/// Returns the source of `SOURCE to TARGET`.
fn source(transfer: &str) -> Option<&str> {
    let (source, _) = transfer
        .split_once(" to s3://")
        .or_else(|| transfer.split_once(" to "))?;
    Some(source)
}

/// Parses `SOURCE to s3://TARGET`, and returns the target.
fn target(transfer: &str) -> Option<Object> {
    parse_object(
        transfer
            .split_at_checked(transfer.find(" to s3://")? + " to ".len())?
            .1,
    )
}

/// Parses an S3 URL with a key.
fn parse_object(url: &str) -> Option<Object> {
    let location = url.strip_prefix("s3://")?;
    let (bucket, key) = match location.strip_prefix("arn:") {
        Some(arn) => (None, key_in_access_point(arn)?),
        None => {
            let (bucket, key) = location.split_once('/')?;
            let is_alias = ALIASES.iter().any(|suffix| bucket.ends_with(suffix));
            if bucket.is_empty() {
                return None;
            }
            (Some(bucket).filter(|_| !is_alias), key)
        }
    };
    (!key.is_empty()).then(|| Object {
        bucket: bucket.map(str::to_owned),
        key: key.to_owned(),
    })
}

/// Returns the key behind the ARN of an access point, given without `arn:`, as the AWS CLI's
/// [`find_bucket_key`](https://github.com/aws/aws-cli/blob/develop/awscli/customizations/s3/utils.py) finds it.
///
/// ```text
/// aws:s3:eu-west-1:111122223333:accesspoint/NAME/KEY
/// aws:s3::111122223333:accesspoint/ALIAS.mrap/KEY
/// aws:s3-outposts:us-west-2:111122223333:outpost/ID/accesspoint/NAME/KEY
/// ```
///
/// A colon can replace each slash before the name.
fn key_in_access_point(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(5, ':');
    let (partition, service) = (parts.next()?, parts.next()?);
    let resource = parts.nth(2)?;
    if !partition.starts_with("aws") {
        return None;
    }
    let access_point = match service {
        "s3" | "s3-object-lambda" => resource,
        "s3-outposts" => {
            let outpost = resource.strip_prefix("outpost")?.strip_prefix(SEPARATORS)?;
            outpost.split_once(SEPARATORS)?.1
        }
        _ => return None,
    };
    let name = access_point.strip_prefix("accesspoint")?;
    let (name, key) = name.strip_prefix(SEPARATORS)?.split_once('/')?;
    (!name.is_empty()).then_some(key)
}

const SEPARATORS: [char; 2] = [':', '/'];

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of the AWS CLI, version 1 and 2, against a local S3; see `tests/cli/recorded/README.md`.
    macro_rules! recorded {
        ($name:literal) => {
            [
                include_str!(concat!("../../../tests/cli/recorded/v1/", $name, ".txt")),
                include_str!(concat!("../../../tests/cli/recorded/v2/", $name, ".txt")),
            ]
        };
    }

    /// Returns each changed object with a `+` if it was written, a `-` if it was deleted and a `?` if it is possibly one of
    /// these, and the note.
    fn objects_and_note(text: &str) -> Result<(Vec<String>, Option<String>), String> {
        let output = parse(text)?;
        let objects = output.objects.iter().map(|(object, change)| {
            let sign = match change.exists {
                Some(true) => "+",
                Some(false) => "-",
                None => "?",
            };
            let bucket = object.bucket.as_deref().unwrap_or("?");
            format!("{sign}{bucket}:{}", object.key)
        });
        Ok((objects.collect(), output.note()))
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
        let under = |prefix: &str| all.iter().map(|key| format!("+{prefix}{key}")).collect();
        let objects =
            |objects: &[&str]| objects.iter().map(|object| (*object).to_owned()).collect();
        let updated = [
            "-site:blog/caf\u{e9}.html",
            "+site:index.html",
            "-site:my dir/my page.html",
        ];
        let cases: [(_, Vec<String>); 25] = [
            (recorded!("sync-upload"), under("site:")),
            (recorded!("sync-nothing"), vec![]),
            (recorded!("sync-only-errors"), vec![]),
            (recorded!("sync-terminal"), under("site:pty/")),
            (recorded!("sync-terminal-no-progress"), under("site:pty2/")),
            (recorded!("sync-copy"), under("copies:prod/")),
            (recorded!("sync-download"), vec![]),
            (recorded!("sync-download-delete"), vec![]),
            (recorded!("sync-delete"), objects(&updated)),
            (recorded!("sync-dryrun"), objects(&updated)),
            (
                recorded!("sync-warnings"),
                objects(&["+site:unreadable/good.html"]),
            ),
            (recorded!("cp"), objects(&["+site:cp/index.html"])),
            (
                recorded!("cp-recursive"),
                objects(&["+site:cp/assets/app.min.js", "+site:cp/assets/film.mp4"]),
            ),
            (
                recorded!("mv"),
                objects(&["-site:cp/index.html", "+site:cp/new page.html"]),
            ),
            (recorded!("mv-upload"), objects(&["+site:cp/moved.html"])),
            (recorded!("mv-download"), objects(&["-site:cp/moved.html"])),
            (
                recorded!("rm"),
                objects(&[
                    "-site:cp/assets/app.min.js",
                    "-site:cp/assets/film.mp4",
                    "-site:cp/new page.html",
                ]),
            ),
            (recorded!("rm-one"), objects(&["-site:quiet/index.html"])),
            (
                recorded!("dryrun-access-point"),
                objects(&["+?:docs/app.min.js", "+?:docs/film.mp4"]),
            ),
            (
                recorded!("dryrun-access-point-colon"),
                objects(&["+?:a:b.html"]),
            ),
            (
                recorded!("dryrun-access-point-multi-region"),
                objects(&["+?:a.html"]),
            ),
            (
                recorded!("dryrun-access-point-alias"),
                objects(&["+?:a.html"]),
            ),
            (recorded!("dryrun-outpost"), objects(&["+?:a.html"])),
            (recorded!("cp-missing-bucket"), vec![]),
            (recorded!("sync-missing-bucket"), vec![]),
        ];
        for (texts, expected) in cases {
            for text in texts {
                let (objects, note) = objects_and_note(text).expect("known lines");
                assert_eq!(objects, expected);
                assert_eq!(note.is_some(), text.contains("NoSuchBucket"), "{note:?}");
            }
        }
        for (texts, expected) in [
            (recorded!("sync-dryrun"), true),
            (recorded!("sync-delete"), false),
        ] {
            for text in texts {
                assert_eq!(parse(text).expect("known lines").dry_run, expected);
            }
        }
    }

    #[test]
    fn leaves_out_what_failed_and_reports_it() {
        let denied = |operation: &str, action: &str| {
            format!(
                "An error occurred (AccessDenied) when calling the {operation} operation: User: \
                 arn:aws:iam::000000000000:user/restricted is not authorized to perform: s3:{action} with an explicit \
                 deny in an identity-based policy"
            )
        };
        for (texts, objects, count, failed, error) in [
            (
                recorded!("sync-upload-failed"),
                vec!["+site:uploaded/dir/c.html"],
                "2 failures",
                "upload failed: mixed/denied/",
                denied("PutObject", "PutObject"),
            ),
            (
                recorded!("sync-copy-failed"),
                vec!["+site:copied/dir/c.html"],
                "2 failures",
                "copy failed: s3://site/uploads/denied/",
                denied("CopyObject", "PutObject"),
            ),
            (
                recorded!("sync-delete-failed"),
                vec!["-site:uploads/dir/c.html"],
                "2 failures",
                "delete failed: s3://site/uploads/denied/",
                denied("DeleteObject", "DeleteObject"),
            ),
            // Only the source could not be deleted.
            (
                recorded!("mv-source-not-deleted"),
                vec!["?site:moved/new.html", "?site:uploads/denied/a.html"],
                "1 failure",
                "move failed: s3://site/uploads/denied/a.html to s3://site/moved/new.html",
                denied("DeleteObject", "DeleteObject"),
            ),
            (
                recorded!("cp-missing-key"),
                vec![],
                "1 failure",
                "fatal error: ",
                "An error occurred (404) when calling the HeadObject operation: Key \"nosuchkey\" does not exist".to_owned(),
            ),
        ] {
            for text in texts {
                let (found, note) = objects_and_note(text).expect("known lines");
                assert_eq!(found, objects);
                let note = note.expect("a note");
                let start = format!("aws s3 reports {count}, such as: {failed}");
                assert!(note.starts_with(&start) && note.ends_with(&error), "{note}");
            }
        }
    }

    #[test]
    fn reads_each_kind_of_line() {
        for (text, objects) in [
            ("\n  \r\n", vec![]),
            ("move: s3://a/x to y", vec!["-a:x"]),
            (
                "move: s3://a/x to y to z/x to y",
                vec!["?a:x", "?a:x to y", "?a:x to y to z/x"],
            ),
            ("move: x to s3://a/y", vec!["+a:y"]),
            ("move: s3://a/x to s3://b/y", vec!["-a:x", "+b:y"]),
            ("delete: ./x", vec![]),
            ("delete: s3://a/x\nupload: x to s3://a/x", vec!["+a:x"]),
            ("upload: x to s3://a/x\ndelete: s3://a/x", vec!["-a:x"]),
            (
                "upload: x to s3://a/b to s3://c/d",
                vec!["+a:b to s3://c/d"],
            ),
            ("upload: public\\x to s3://a/x", vec!["+a:x"]),
            ("upload: - to s3://a//x/", vec!["+a:/x/"]),
            (
                "Completed 3 file(s) with ~2 file(s) remaining (calculating...)",
                vec![],
            ),
            (
                "move failed: x to s3://a/y [Errno 13] Permission denied: 'x'",
                vec!["?a:y"],
            ),
            ("move failed: x to s3://a/y Something else", vec![]),
            (
                "upload failed: x y to s3://a/x y Read timeout on endpoint URL: \"https://a.s3.amazonaws.com/x\"",
                vec!["?a:x y"],
            ),
            (
                "delete failed: s3://a/x y Connection was closed before we received a valid response from endpoint URL: \"x\"",
                vec!["?a:x y"],
            ),
            (
                "upload failed: x to s3://a/x Could not connect to the endpoint URL: \"https://a.s3.amazonaws.com/x\"",
                vec![],
            ),
            ("cancelled: ctrl-c received", vec![]),
            (
                "upload: x to s3://arn:aws-cn:s3:cn-north-1:111122223333:accesspoint/myap/docs/a.html",
                vec!["+?:docs/a.html"],
            ),
            (
                "delete: s3://arn:aws:s3-outposts:us-west-2:111122223333:outpost:op-01:accesspoint:myap/a:b/c",
                vec!["-?:a:b/c"],
            ),
            (
                "copy: s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/myap/a to s3://b/c",
                vec!["+b:c"],
            ),
            ("upload: x to s3://lambda-abc--ol-s3/a", vec!["+?:a"]),
        ] {
            let found = objects_and_note(&format!("{text}\n")).map(|(objects, _)| objects);
            assert_eq!(
                found,
                Ok(objects.iter().map(|object| (*object).to_owned()).collect()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_was_written_after_a_deletion_and_the_sources_of_uploads_are_known() {
        let text = "delete: s3://a/again\nupload: out/again to s3://a/again\nupload: out/new to s3://a/new\n\
                    copy: s3://b/x to s3://a/copied\nupload: out/copied to s3://a/overwritten\n\
                    copy: s3://b/x to s3://a/overwritten\nupload: out/gone to s3://a/gone\ndelete: s3://a/gone\n\
                    upload failed: out/f to s3://a/f Read timeout on endpoint URL: \"x\"\nupload: out/f to s3://a/f\n";
        let output = parse(text).expect("known lines");
        let keys = |objects: Vec<&Object>| -> Vec<String> {
            objects
                .into_iter()
                .map(|object| object.key.clone())
                .collect()
        };
        assert_eq!(keys(output.written_again.iter().collect()), ["again", "f"]);
        let sources: Vec<_> = output.sources.into_iter().collect();
        let sources = sources
            .into_iter()
            .map(|(object, source)| (object.key, source));
        let expected = [
            ("again", "out/again"),
            ("f", "out/f"),
            ("gone", "out/gone"),
            ("new", "out/new"),
        ];
        let expected = expected.map(|(key, source)| (key.to_owned(), source.to_owned()));
        assert_eq!(sources.collect::<Vec<_>>(), expected);
        let (objects, _) = objects_and_note(text).expect("known lines");
        let signs = [
            "+a:again",
            "+a:copied",
            "+a:f",
            "-a:gone",
            "+a:new",
            "+a:overwritten",
        ];
        assert_eq!(objects, signs);
    }

    #[test]
    fn refuses_a_last_line_that_is_possibly_cut_off() {
        let text = "delete: s3://a/x\nupload: public/blog/post.html to s3://a/blog/po";
        let error = "line 2: \"upload: public/blog/post.html to s3://a/blog/po\" has no line end, so it is possibly cut \
                     off: run `aws s3` again, or add the line end";
        assert_eq!(objects_and_note(text), Err(error.to_owned()));
        let text = "delete: s3://a/x\nCompleted 1 file(s) with 1 file(s) remaining";
        let (objects, _) = objects_and_note(text).expect("known lines");
        assert_eq!(objects, ["-a:x"]);
    }

    #[test]
    fn names_the_first_line_that_it_cannot_read() {
        for (text, number, line) in [
            ("index.html\nblog/a.html", 1, "index.html"),
            (
                "upload: x to s3://a/x\r\n\r\nUpload: y to s3://a/y\r\n",
                3,
                "Upload: y to s3://a/y",
            ),
            ("upload: x to s3://a/x\nof two lines", 2, "of two lines"),
            ("upload: x to s3://a", 1, "upload: x to s3://a"),
            ("upload: x to y", 1, "upload: x to y"),
            ("copy: s3://a/x to y", 1, "copy: s3://a/x to y"),
            ("move: s3://a to s3://b/y", 1, "move: s3://a to s3://b/y"),
            ("move: x to y", 1, "move: x to y"),
            ("move: s3://a/x to s3://b", 1, "move: s3://a/x to s3://b"),
            ("delete: s3://a/", 1, "delete: s3://a/"),
            ("remove_bucket: site", 1, "remove_bucket: site"),
            // The key contains a carriage return.
            (
                "upload: x to s3://a/b\rdelete: s3://a/c",
                1,
                "delete: s3://a/c",
            ),
            (
                "delete: s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/myap",
                1,
                "delete: s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/myap",
            ),
            (
                "delete: s3://arn:aws:s3:::site/a",
                1,
                "delete: s3://arn:aws:s3:::site/a",
            ),
            (
                "usage: aws [options] <command>",
                1,
                "usage: aws [options] <command>",
            ),
        ] {
            let message = format!(
                "line {number}: {line:?} is not a line that `aws s3 sync`, `cp`, `mv` or `rm` writes: give its standard \
                 output alone, or use --keys-from for keys, --paths-from for paths"
            );
            assert_eq!(parse(text), Err(message), "{text:?}");
        }
    }
}
