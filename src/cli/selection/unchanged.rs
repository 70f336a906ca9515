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
            let file = file.as_ref();
            file.is_none_or(|file| file.has_content(before.bytes, &before.etag))
        }) && has_file
    }
}
