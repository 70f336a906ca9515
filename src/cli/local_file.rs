//! `LocalFile`: a file of the local build, which viewers should get.
//!
//! Equality is proven by an MD5 or by the content. An ETag that is not the MD5 of the file proves nothing: those of SSE-KMS and of
//! multipart uploads only look similar. A file can be stored and sent compressed, by CloudFront or before the upload, so
//! content is compared as it was sent and decompressed. Files are read in parts and decompression stops at the first
//! difference, so neither needs memory for the whole content.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use brotli_decompressor::Decompressor;
use flate2::bufread::MultiGzDecoder;
use md5::{Digest, Md5};

use crate::aws::s3::{FoundObject, HeadObject};
use crate::cli::CliError;
use crate::cli::input::keys_of_directory;
use crate::verify::judge::ContentMatch;
use crate::verify::strong_etag;

/// How much is read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many bytes a compressed form has at most in addition to an eighth of the file: its header, checksum and blocks.
const COMPRESSED_OVERHEAD: u64 = 4096;

/// The files of a local build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalFiles {
    directory: PathBuf,
    /// What the names of the files leave out; it ends with a slash or is empty.
    prefix: String,
    /// The keys of all files, relative to the root of the site.
    keys: Vec<String>,
}

/// A file of a local build.
#[derive(Debug)]
pub(super) struct LocalFile {
    path: PathBuf,
    bytes: u64,
    /// In lower case; `None` if the file could not be read.
    md5: OnceLock<Option<String>>,
}

impl LocalFiles {
    /// Lists the files below the directory. `prefix` is the folder of the site that they are in.
    pub(super) fn read(directory: &Path, prefix: Option<&str>) -> Result<Self, CliError> {
        let mut files = Self::new(directory, prefix.unwrap_or_default());
        let prefix = &files.prefix;
        let keys = keys_of_directory(directory)?.into_iter();
        files.keys = keys.map(|key| format!("{prefix}{key}")).collect();
        Ok(files)
    }

    /// Returns the files below the directory without a list of them.
    pub(super) fn new(directory: impl Into<PathBuf>, prefix: &str) -> Self {
        let folder = prefix.trim_matches('/');
        let slash = if folder.is_empty() { "" } else { "/" };
        Self {
            directory: directory.into(),
            prefix: format!("{folder}{slash}"),
            keys: Vec::new(),
        }
    }

    /// Returns the keys of all files, relative to the root of the site.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// Returns the name of the file with this key, relative to the directory.
    pub(super) fn name<'a>(&self, relative_key: &'a str) -> Option<&'a str> {
        relative_key.strip_prefix(&self.prefix)
    }

    /// Returns the file with this key, which is relative to the root of the site. `None` if `aws s3 sync` would upload no file
    /// with this key: there is none, or the key leads out of the directory or in a circle.
    pub(super) fn file(&self, relative_key: &str) -> Option<LocalFile> {
        let name = self.name(relative_key)?;
        let mut path = self.directory.clone();
        let mut directories = Vec::new();
        for segment in name.split('/') {
            let directory = path.canonicalize().ok()?;
            if directories.contains(&directory) {
                return None;
            }
            directories.push(directory);
            let mut components = Path::new(segment).components();
            let first = components.next()?;
            // A segment is also `..`, a drive of Windows or has a backslash.
            if first != Component::Normal(segment.as_ref()) || components.next().is_some() {
                return None;
            }
            path.push(segment);
        }
        let metadata = path.metadata().ok()?;
        metadata.is_file().then(|| LocalFile {
            bytes: metadata.len(),
            path,
            md5: OnceLock::new(),
        })
    }
}

impl LocalFile {
    /// Returns the MD5 of the file in lower case; `None` if the file cannot be read. It reads the whole file once.
    pub(super) fn md5(&self) -> Option<&str> {
        self.md5.get_or_init(|| self.read_md5().ok()).as_deref()
    }

    fn read_md5(&self) -> io::Result<String> {
        let mut file = self.open()?;
        let mut md5 = Md5::new();
        loop {
            let part = file.fill_buf()?;
            if part.is_empty() {
                break;
            }
            md5.update(part);
            let read = part.len();
            file.consume(read);
        }
        let digest = md5.finalize();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns `Some(true)` if the ETag, without `W/` and quotes, is the MD5 of the file. Another one proves nothing.
    pub(super) fn matches_etag(&self, strong_etag: &str) -> Option<bool> {
        let is_md5 = strong_etag.len() == 32 && strong_etag.eq_ignore_ascii_case(self.md5()?);
        is_md5.then_some(true)
    }

    /// Returns whether the file certainly has this size and content. The ETag has neither `W/` nor quotes.
    pub(super) fn has_content(&self, bytes: u64, strong_etag: &str) -> bool {
        self.bytes == bytes && self.matches_etag(strong_etag) == Some(true)
    }

    /// Returns whether the object of the origin has other content than the file; `None` if that is unknown.
    pub(super) fn differs_from(&self, head: &HeadObject) -> Option<bool> {
        match head {
            HeadObject::Found(object) => self.differs_from_object(object),
            HeadObject::Missing => None,
        }
    }

    fn differs_from_object(&self, object: &FoundObject) -> Option<bool> {
        if object.is_md5 && self.matches_etag(strong_etag(&object.etag)) == Some(true) {
            return Some(false);
        }
        // The object is possibly the compressed file.
        if !is_plain(object.content_encoding.as_deref()) {
            return None;
        }
        let is_other = (object.is_md5 && self.md5().is_some())
            || object.size.is_some_and(|size| size != self.bytes);
        is_other.then_some(true)
    }

    /// Returns how many bytes of the content decide at most, as it is sent.
    pub(super) fn max_bytes(&self) -> usize {
        let compressed = self.bytes + self.bytes / 8 + COMPRESSED_OVERHEAD;
        usize::try_from(compressed).unwrap_or(usize::MAX)
    }

    /// Compares the content, as it was sent, with the file. It is complete, or at least [`max_bytes`](Self::max_bytes) long.
    ///
    /// # Errors
    ///
    /// A text if the comparison is not possible: the encoding is not known, the content does not have it, or the file cannot be
    /// read.
    pub(super) fn compare(
        &self,
        content: &[u8],
        content_encoding: Option<&str>,
    ) -> Result<ContentMatch, String> {
        // A file can be compressed before the upload, in the same directory.
        let as_sent = self.compare_decoded(content)?;
        if as_sent == Comparison::Same || is_plain(content_encoding) {
            return Ok(as_sent.into());
        }
        let encoding = content_encoding.unwrap_or_default().trim();
        let decoded = match encoding.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => self.compare_decoded(MultiGzDecoder::new(content))?,
            "br" => self.compare_decoded(Decompressor::new(content, BUFFER_BYTES))?,
            _ => {
                return Err(format!(
                    "cannot compare: the content encoding {encoding:?} is not known"
                ));
            }
        };
        // The part that was not read is possibly the rest of the file.
        if decoded == Comparison::Shorter && content.len() >= self.max_bytes() {
            return Err("cannot compare: the content is longer than the file".to_owned());
        }
        Ok(decoded.into())
    }

    /// Compares decoded content with the file, up to the first difference.
    fn compare_decoded(&self, mut content: impl Read) -> Result<Comparison, String> {
        let cannot_read = |error: io::Error| {
            let path = self.path.display();
            format!("cannot compare: could not read {path}: {error}")
        };
        let mut file = self.open().map_err(cannot_read)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = read_part(&mut content, &mut buffer);
            let read = read.map_err(|error| {
                format!("cannot compare: the content is not complete or not valid: {error}")
            })?;
            let part = buffer.get(..read).unwrap_or_default();
            if part.is_empty() {
                let rest = file.fill_buf().map_err(cannot_read)?;
                return Ok(if rest.is_empty() {
                    Comparison::Same
                } else {
                    Comparison::Shorter
                });
            }
            if !starts_with(&mut file, part).map_err(cannot_read)? {
                return Ok(Comparison::Different);
            }
        }
    }

    fn open(&self) -> io::Result<BufReader<File>> {
        let file = File::open(&self.path)?;
        Ok(BufReader::with_capacity(BUFFER_BYTES, file))
    }
}

/// What the content is to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Same,
    /// The file begins with it.
    Shorter,
    Different,
}

impl From<Comparison> for ContentMatch {
    fn from(comparison: Comparison) -> Self {
        match comparison {
            Comparison::Same => Self::Same,
            Comparison::Shorter | Comparison::Different => Self::Different,
        }
    }
}

/// Returns whether content with this `Content-Encoding` is not encoded.
fn is_plain(content_encoding: Option<&str>) -> bool {
    let encoding = content_encoding.unwrap_or_default().trim();
    encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")
}

/// Reads a part; 0 bytes are the end.
fn read_part(content: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match content.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Reads as many bytes as `expected` has, and returns whether they are equal.
fn starts_with(file: &mut impl BufRead, mut expected: &[u8]) -> io::Result<bool> {
    while !expected.is_empty() {
        let part = file.fill_buf()?;
        let length = part.len().min(expected.len());
        let (own, (other, rest)) = (part.get(..length), expected.split_at(length));
        if length == 0 || own != Some(other) {
            return Ok(false);
        }
        file.consume(length);
        expected = rest;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A directory that is deleted at the end of the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let process = std::process::id();
            let directory = std::env::temp_dir().join(format!("cf-invalidate-{process}-{name}"));
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir_all(&directory).expect("a directory");
            Self(directory)
        }

        fn write(&self, name: &str, content: &[u8]) {
            let file = self.0.join(name);
            fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
            fs::write(file, content).expect("a file");
        }

        /// Writes a file and returns it.
        fn file(&self, content: &[u8]) -> LocalFile {
            self.write("a.js", content);
            let files = LocalFiles::new(&self.0, "");
            files.file("a.js").expect("a file")
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).expect("compressed");
        encoder.finish().expect("compressed")
    }

    fn brotli(content: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams {
            quality: 5,
            ..Default::default()
        };
        brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters).expect("compressed");
        compressed
    }

    /// Returns content that does not repeat, longer than the buffer.
    fn long() -> Vec<u8> {
        let numbers = 0..60_000_u32;
        numbers
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
            .collect()
    }

    #[test]
    fn a_key_names_a_file_below_the_directory() {
        let directory = Directory::new("local-files");
        for name in ["index.html", "blog/a b+c.html", "empty"] {
            directory.write(name, b"text");
        }
        let outside = directory.0.with_extension("outside");
        fs::write(&outside, "text").expect("a file");
        let name = outside.file_name().and_then(|name| name.to_str());
        let name = name.expect("a name");
        let below = |folder: &str| LocalFiles::new(directory.0.join(folder), "");
        for (files, key, expected) in [
            (below(""), "index.html", Some("index.html")),
            (below(""), "blog/a b+c.html", Some("blog/a b+c.html")),
            (below(""), "blog", None),
            (below(""), "blog/", None),
            (below(""), "", None),
            (below(""), "missing.html", None),
            (below(""), "index.html/a", None),
            (below(""), "./index.html", None),
            (below(""), "blog//a b+c.html", None),
            (below("blog"), "../index.html", None),
            (below(""), "blog/../index.html", None),
            (below(""), &format!("../{name}"), None),
            (below(""), outside.to_str().expect("a path"), None),
            (below(""), "index.html\0", None),
            (below("none"), "index.html", None),
            (
                LocalFiles::new(&directory.0, "docs/"),
                "docs/index.html",
                Some("index.html"),
            ),
            (
                LocalFiles::new(&directory.0, "/docs"),
                "docs/index.html",
                Some("index.html"),
            ),
            (LocalFiles::new(&directory.0, "docs"), "index.html", None),
            (
                LocalFiles::new(&directory.0, "docs"),
                "docsindex.html",
                None,
            ),
        ] {
            let actual = files.file(key).map(|file| file.path);
            let expected = expected.map(|name| directory.0.join(name));
            assert_eq!(actual, expected, "{key} in {files:?}");
        }
        fs::remove_file(outside).expect("removed");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_unless_they_lead_in_a_circle() {
        use std::os::unix::fs::symlink;
        let directory = Directory::new("local-links");
        for name in ["index.html", "a/x.html", "a/deep/y.html"] {
            directory.write(name, b"text");
        }
        for (target, link) in [
            ("a", "b"),
            ("..", "a/deep/circle"),
            ("itself", "itself"),
            ("missing", "broken"),
            ("index.html", "home.html"),
        ] {
            symlink(target, directory.0.join(link)).expect("a link");
        }
        let files = LocalFiles::new(&directory.0, "");
        for (key, is_file) in [
            ("home.html", true),
            ("b/x.html", true),
            ("b/deep/y.html", true),
            ("a/deep/circle/x.html", false),
            ("b/deep/circle/deep/y.html", false),
            ("itself", false),
            ("broken", false),
        ] {
            assert_eq!(files.file(key).is_some(), is_file, "{key}");
        }
    }

    #[test]
    fn only_the_md5_of_the_file_proves_something() {
        let directory = Directory::new("local-md5");
        let file = directory.file(b"text");
        let md5 = "1cb251ec0d568de6a929b520c4aed8d1";
        assert_eq!(file.md5(), Some(md5));
        for (etag, expected) in [
            (md5, Some(true)),
            ("1CB251EC0D568DE6A929B520C4AED8D1", Some(true)),
            ("00000000000000000000000000000000", None),
            ("1cb251ec0d568de6a929b520c4aed8d1-2", None),
            ("", None),
        ] {
            assert_eq!(file.matches_etag(etag), expected, "{etag}");
        }
        fs::remove_file(&file.path).expect("removed");
        assert_eq!(file.md5(), Some(md5), "computed once");
        let unreadable = LocalFile {
            md5: OnceLock::new(),
            ..file
        };
        assert_eq!(unreadable.matches_etag(md5), None);
        let file = directory.file(&long());
        let expected = Md5::digest(long());
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file.md5(), Some(expected.as_str()), "more than a buffer");
    }

    #[test]
    fn content_is_compared_as_it_was_sent_and_decompressed() {
        use ContentMatch::{Different, Same};
        let directory = Directory::new("local-content");
        let long = long();
        let mut other = long.clone();
        other[239_999] ^= 1;
        let members = |content: &[u8]| {
            let (start, end) = content.split_at(content.len() / 2);
            [gzip(start), gzip(end)].concat()
        };
        for (name, content) in [
            ("nothing", Vec::new()),
            ("text", b"text".to_vec()),
            ("long", long),
        ] {
            let file = directory.file(&content);
            let longer = [&content[..], b"!"].concat();
            let different = if name == "long" { &other } else { &longer };
            let shorter = content.split_last().map_or(&[][..], |(_, start)| start);
            for (encoding, encode) in [
                (None, &<[u8]>::to_vec as &dyn Fn(&[u8]) -> Vec<u8>),
                (Some("identity"), &<[u8]>::to_vec),
                (Some(""), &<[u8]>::to_vec),
                (Some("gzip"), &gzip),
                (Some(" GZIP "), &members),
                (Some("br"), &brotli),
            ] {
                let compare = |content: &[u8]| file.compare(&encode(content), encoding);
                assert_eq!(compare(&content), Ok(Same), "{name} {encoding:?}");
                assert_eq!(compare(different), Ok(Different), "{name} {encoding:?}");
                assert_eq!(
                    compare(&longer),
                    Ok(Different),
                    "longer, {name} {encoding:?}"
                );
                let expected = if name == "nothing" { Same } else { Different };
                assert_eq!(
                    compare(shorter),
                    Ok(expected),
                    "shorter, {name} {encoding:?}"
                );
                assert!(
                    encode(&content).len() < file.max_bytes(),
                    "{name} {encoding:?}"
                );
            }
        }
    }

    #[test]
    fn a_file_that_is_compressed_before_the_upload_is_equal_as_it_is_sent() {
        let directory = Directory::new("local-compressed");
        for (compressed, encoding) in [(gzip(b"text"), "gzip"), (brotli(b"text"), "br")] {
            let file = directory.file(&compressed);
            let actual = file.compare(&compressed, Some(encoding));
            assert_eq!(actual, Ok(ContentMatch::Same), "{encoding}");
        }
        let file = directory.file(&gzip(b"text"));
        let actual = file.compare(&gzip(b"other text"), Some("gzip"));
        assert_eq!(actual, Ok(ContentMatch::Different));
    }

    #[test]
    fn decompression_stops_at_the_end_of_the_file() {
        let directory = Directory::new("local-bomb");
        let file = directory.file(b"text");
        let bomb = gzip(&[b"text".to_vec(), vec![0; 8_000_000]].concat());
        let mut cut = bomb;
        // What follows is not decompressed, so it need not be valid.
        cut.truncate(4_000);
        let actual = file.compare(&cut, Some("gzip"));
        assert_eq!(actual, Ok(ContentMatch::Different));
    }

    #[test]
    fn what_cannot_be_decoded_proves_nothing() {
        let directory = Directory::new("local-invalid");
        let content = long();
        let file = directory.file(&content);
        let cut = |compressed: Vec<u8>| compressed[..compressed.len() - 9].to_vec();
        let not_valid = "cannot compare: the content is not complete or not valid: ";
        for (sent, encoding, expected) in [
            (
                content[1..].to_vec(),
                "zstd",
                "cannot compare: the content encoding \"zstd\" is not known",
            ),
            (
                content[1..].to_vec(),
                "gzip, br",
                "cannot compare: the content encoding \"gzip, br\" is not known",
            ),
            (content[1..].to_vec(), "gzip", not_valid),
            (content[1..].to_vec(), "br", not_valid),
            (cut(gzip(&content)), "gzip", not_valid),
            (cut(brotli(&content)), "br", not_valid),
        ] {
            let error = file.compare(&sent, Some(encoding)).expect_err("an error");
            assert!(error.starts_with(expected), "{encoding}: {error}");
        }
        // Only a part of the content was read, at the end of one of its members.
        let member = gzip(&[]).repeat(file.max_bytes() / 20);
        let sent = [gzip(&content[..1]), member].concat();
        let expected = "cannot compare: the content is longer than the file".to_owned();
        assert_eq!(file.compare(&sent, Some("gzip")), Err(expected));
        fs::remove_file(&file.path).expect("removed");
        let error = file.compare(b"text", None).expect_err("no file");
        let expected = format!("cannot compare: could not read {}: ", file.path.display());
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn an_object_differs_if_its_md5_or_its_size_is_another_one() {
        let directory = Directory::new("local-origin");
        let file = directory.file(b"text");
        let md5 = "\"1cb251ec0d568de6a929b520c4aed8d1\"";
        let other = "\"00000000000000000000000000000000\"";
        for (etag, is_md5, size, content_encoding, expected) in [
            (md5, true, Some(4), None, Some(false)),
            (md5, true, Some(4), Some("gzip"), Some(false)),
            (other, true, Some(4), None, Some(true)),
            (other, true, None, None, Some(true)),
            (other, true, Some(4), Some("identity"), Some(true)),
            (other, true, Some(24), Some("gzip"), None),
            (other, true, Some(4), Some("utf-8"), None),
            // The ETag of SSE-KMS is not the MD5, even if it has its value.
            (md5, false, Some(4), None, None),
            (other, false, Some(4), None, None),
            (other, false, Some(5), None, Some(true)),
            (other, false, Some(5), Some("gzip"), None),
            ("\"0-2\"", false, None, None, None),
        ] {
            let object = FoundObject {
                etag: etag.to_owned(),
                modified: None,
                size,
                content_encoding: content_encoding.map(str::to_owned),
                is_md5,
            };
            let actual = file.differs_from(&HeadObject::Found(object.clone()));
            assert_eq!(actual, expected, "{object:?}");
        }
        assert_eq!(file.differs_from(&HeadObject::Missing), None);
    }
}
