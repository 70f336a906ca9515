//! The spellings in which viewers request an object: one row for each encoder, over the bytes that it leaves unencoded.
//!
//! All encoders leave letters and digits, keep the slash and encode every other byte as `%` and two upper-case digits.
//! Two kinds of requests are excluded. Raw bytes beyond ASCII are not valid in a request target ([RFC 9112][target]),
//! and no encoder in the table sends them. Needless escapes (`%61` for `a`) can be cache entries of their own, but a name
//! of ten letters has a thousand of them, and no encoder in the table sends them either.
//!
//! [target]: https://www.rfc-editor.org/rfc/rfc9112#name-request-target

/// An encoder of viewers.
pub struct Spelling {
    pub name: &'static str,
    /// Where the encoder is defined.
    pub definition: &'static str,
    /// The ASCII bytes that it leaves unencoded, without letters and digits.
    unencoded: &'static [u8],
    space: &'static str,
}

pub const SPELLINGS: [Spelling; 9] = [
    // A parser leaves `%`, `?`, `#` and `\` to the author, who must encode them.
    Spelling {
        name: "URL Standard",
        definition: "https://url.spec.whatwg.org/#path-percent-encode-set",
        unencoded: b"!$&'()*+,-./:;=@[]_|~",
        space: "%20",
    },
    // The set did not contain `^` at first.
    Spelling {
        name: "URL Standard, without the later ^",
        definition: "https://url.spec.whatwg.org/#path-percent-encode-set",
        unencoded: b"!$&'()*+,-./:;=@[]^_|~",
        space: "%20",
    },
    Spelling {
        name: "encodeURI",
        definition: "https://tc39.es/ecma262/#sec-encodeuri-uri",
        unencoded: b";/?:@&=+$,#-_.!~*'()",
        space: "%20",
    },
    Spelling {
        name: "encodeURIComponent for each segment",
        definition: "https://tc39.es/ecma262/#sec-encodeuricomponent-uricomponent",
        unencoded: b"/-_.!~*'()",
        space: "%20",
    },
    Spelling {
        name: "urllib.parse.quote",
        definition: "https://docs.python.org/3/library/urllib.parse.html#urllib.parse.quote",
        unencoded: b"/_.-~",
        space: "%20",
    },
    Spelling {
        name: "botocore",
        definition: "https://github.com/boto/botocore/blob/develop/botocore/utils.py (percent_encode)",
        unencoded: b"/-._~",
        space: "%20",
    },
    Spelling {
        name: "url.PathEscape of Go for each segment",
        definition: "https://pkg.go.dev/net/url#PathEscape",
        unencoded: b"/$&+-_.~:=@",
        space: "%20",
    },
    Spelling {
        name: "curl with escaped bytes",
        definition: "https://curl.se/libcurl/c/curl_easy_escape.html",
        unencoded: b"/-._~",
        space: "%20",
    },
    // The object URLs of S3's console; S3 decodes a plus to a space.
    Spelling {
        name: "form encoding",
        definition: "https://url.spec.whatwg.org/#concept-urlencoded-byte-serializer",
        unencoded: b"/*-._",
        space: "+",
    },
];

impl Spelling {
    /// Returns the request target of a decoded path, up to a `#`, which viewers do not send.
    pub fn target(&self, path: &str) -> String {
        let mut target = "/".to_owned();
        for byte in path.bytes() {
            match byte {
                b' ' => target.push_str(self.space),
                b'#' if self.unencoded.contains(&b'#') => break,
                byte if byte.is_ascii_alphanumeric() || self.unencoded.contains(&byte) => {
                    target.push(char::from(byte));
                }
                byte => target.push_str(&format!("%{byte:02X}")),
            }
        }
        target
    }
}

/// Returns the different request targets of a decoded path.
pub fn targets(path: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for spelling in &SPELLINGS {
        let target = spelling.target(path);
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoder_follows_its_definition() {
        let key = "a b/é~@+('[^%?#.html";
        let expected = [
            "/a%20b/%C3%A9~@+('[%5E%25%3F%23.html",
            "/a%20b/%C3%A9~@+('[^%25%3F%23.html",
            "/a%20b/%C3%A9~@+('%5B%5E%25?",
            "/a%20b/%C3%A9~%40%2B('%5B%5E%25%3F%23.html",
            "/a%20b/%C3%A9~%40%2B%28%27%5B%5E%25%3F%23.html",
            "/a%20b/%C3%A9~%40%2B%28%27%5B%5E%25%3F%23.html",
            "/a%20b/%C3%A9~@+%28%27%5B%5E%25%3F%23.html",
            "/a%20b/%C3%A9~%40%2B%28%27%5B%5E%25%3F%23.html",
            "/a+b/%C3%A9%7E%40%2B%28%27%5B%5E%25%3F%23.html",
        ];
        let written = SPELLINGS.map(|spelling| (spelling.name, spelling.target(key)));
        for ((name, target), expected) in written.into_iter().zip(expected) {
            assert_eq!(target, expected, "{name}");
        }
    }

    #[test]
    fn the_same_target_is_listed_once() {
        assert_eq!(targets("blog/a.html"), ["/blog/a.html"]);
        assert_eq!(targets("a@2x.png"), ["/a@2x.png", "/a%402x.png"]);
        assert_eq!(targets(""), ["/"]);
    }
}
