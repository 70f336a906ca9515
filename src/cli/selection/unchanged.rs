//! `UnchangedFiles`: which objects were written again with the content that they had before (`--skip-unchanged`).
//!
//! The size and the ETag from before the deploy are compared with the local file. An ETag that is not the MD5 of the content,
//! as that of SSE-KMS and of a multipart upload, proves nothing, so such an object counts as changed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::cli::Selection;
use crate::cli::input::{Input, Object};
use crate::cli::local_file::{LocalFile, LocalFiles};
use crate::site::Change;

/// The local files with which objects are compared.
#[derive(Debug)]
pub(in crate::cli) struct UnchangedFiles {
    files: LocalFiles,
    /// The files by their key, so that each is read once for all distributions.
    found: RefCell<BTreeMap<String, Option<LocalFile>>>,
}

impl UnchangedFiles {
    /// Returns the files of `--site`, if objects are compared with them.
    pub(in crate::cli) fn new(selection: &Selection) -> Option<Self> {
        let directory = selection.build_directory.as_ref();
        let directory = directory.filter(|_| selection.skip_unchanged)?;
        let prefix = selection.prefix.as_deref().unwrap_or_default();
        Some(Self {
            files: LocalFiles::new(directory, prefix),
            found: RefCell::default(),
        })
    }

    /// Returns whether the object was written with the same content as before. `relative_keys` are its possible keys relative
    /// to the root of the site. If there are files with several of them, all need to have that content.
    pub(super) fn contain(
        &self,
        input: &Input,
        object: &Object,
        change: Change,
        relative_keys: &[&str],
    ) -> bool {
        if change.existed != Some(true) || change.exists == Some(false) {
            return false;
        }
        let Some(before) = input.contents_before.get(object) else {
            return false;
        };
        let mut found = self.found.borrow_mut();
        let mut has_file = false;
        relative_keys.iter().all(|key| {
            let file = found.entry((*key).to_owned());
            let file = file.or_insert_with(|| self.files.file(key));
            has_file |= file.is_some();
            let name = self.files.name(key).unwrap_or_default();
            let content = &before.content;
            let is_same = |file: &LocalFile| {
                before.is_from(name) && file.has_content(content.bytes, &content.etag)
            };
            file.as_ref().is_none_or(is_same)
        }) && has_file
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::input::{Before, Content};

    #[test]
    fn all_files_of_the_object_need_the_content_from_before() {
        let directory = std::env::temp_dir();
        let directory = directory.join(format!("cf-invalidate-{}-unchanged", std::process::id()));
        fs::create_dir_all(directory.join("b")).expect("a directory");
        for (name, content) in [
            ("a", "text"),
            ("b/a", "text"),
            ("c", "text"),
            ("b/c", "other"),
        ] {
            fs::write(directory.join(name), content).expect("a file");
        }
        let selection = Selection {
            build_directory: Some(directory.clone()),
            skip_unchanged: true,
            ..Selection::default()
        };
        let files = UnchangedFiles::new(&selection).expect("files");
        let object = |key: &str| Object {
            bucket: None,
            key: key.to_owned(),
        };
        let before = |bytes| Content {
            bytes,
            etag: "1cb251ec0d568de6a929b520c4aed8d1".to_owned(),
        };
        let contents = [
            ("same", before(4)),
            ("shorter", before(3)),
            ("uploaded", before(4)),
            ("other file", before(4)),
            ("other name", before(4)),
        ];
        let sources = BTreeMap::from([
            ("uploaded", "public/b/a"),
            ("other file", "public/c"),
            ("other name", "public/xb/a"),
        ]);
        let input = Input {
            contents_before: contents
                .map(|(key, content)| {
                    let source = sources.get(key).map(|source| (*source).to_owned());
                    (object(key), Before { content, source })
                })
                .into(),
            ..Input::default()
        };
        let change = |existed, exists| Change { existed, exists };
        let written = change(Some(true), Some(true));
        let mut cases = vec![
            ("same", written, vec!["a"], true),
            ("same", change(Some(true), None), vec!["a"], true),
            ("same", change(Some(true), Some(false)), vec!["a"], false),
            ("same", change(Some(false), Some(true)), vec!["a"], false),
            ("same", change(None, Some(true)), vec!["a"], false),
            ("same", written, vec!["b/a", "a"], true),
            ("same", written, vec!["missing", "a"], true),
            ("same", written, vec!["c", "b/c"], false),
            ("same", written, vec!["missing"], false),
            ("same", written, vec!["b"], false),
            ("same", written, vec![], false),
            ("shorter", written, vec!["a"], false),
            ("not listed", written, vec!["a"], false),
            ("uploaded", written, vec!["b/a"], true),
            ("uploaded", written, vec!["a"], true),
            ("other file", written, vec!["b/a"], false),
            ("other name", written, vec!["b/a"], false),
        ];
        let check = |cases: &[(&str, Change, Vec<&str>, bool)]| {
            for (key, change, relative, expected) in cases {
                let actual = files.contain(&input, &object(key), *change, relative);
                assert_eq!(actual, *expected, "{key} {change:?} {relative:?}");
            }
        };
        check(&cases);
        // The files were read, and are not read again.
        fs::remove_dir_all(&directory).expect("removed");
        cases.retain(|(_, _, relative, _)| !relative.contains(&"c"));
        check(&cases);
    }
}
