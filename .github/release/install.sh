#!/bin/sh
# Installs cf-invalidate, the command line of cloudfront-invalidator, from a release. `--help` lists the options.
#
# Everything is in functions, and the last line calls main: a download that was cut off runs nothing.

usage() {
    cat <<'END'
Install cf-invalidate from a release, after a check of its SHA-256 checksum

Usage: install.sh [--version X.Y.Z] [--to DIR]

Options:
  --version X.Y.Z  Install this version [default: the latest]
  --to DIR         Install into this directory [default: $HOME/.local/bin]
  --help           Print help

Environment:
  CF_INVALIDATE_RELEASES_URL  Download from this mirror of the releases, which has download/vX.Y.Z/FILE and
                              latest/download/FILE
END
}

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Prints the target of the archive for this machine.
detect_target() {
    system=$(uname -s) processor=$(uname -m)
    source="build it from source: $repository/blob/main/docs/install.md#from-source"
    windows=cf-invalidate-x86_64-pc-windows-msvc.zip
    case $system in
        Linux | Darwin) ;;
        MINGW* | MSYS* | CYGWIN* | Windows*)
            fail "this script does not install on Windows: unpack $releases/latest/download/$windows" ;;
        *) fail "there is no binary for $system: $source" ;;
    esac
    case $processor in
        x86_64 | amd64) processor=x86_64 ;;
        aarch64 | arm64) processor=aarch64 ;;
        *) fail "there is no binary for the processor $processor: $source" ;;
    esac
    if [ "$system" = Darwin ]; then
        echo "$processor-apple-darwin"
        return
    fi
    # A 64-bit kernel can run a 32-bit system.
    if [ "$(getconf LONG_BIT 2>/dev/null)" = 32 ]; then
        fail "there is no binary for 32-bit systems: $source"
    fi
    # musl's ldd prints its name to stderr and fails.
    case $(ldd --version 2>&1) in
        *musl*) fail "the binary needs glibc, and this system has musl: use a system with glibc, or $source" ;;
    esac
    echo "$processor-unknown-linux-gnu"
}

# Downloads the URL of the first argument to the file of the second; the third is the end of the error message.
download() {
    if has curl; then
        curl --fail --location --silent --show-error --proto "=$scheme" --tlsv1.2 --connect-timeout 30 --retry 3 \
            --output "$2" "$1"
    else
        wget --no-verbose --tries=3 --timeout=30 --output-document="$2" "$1"
    fi || fail "cannot download $1$3"
}

# Prints the SHA-256 checksum of a file.
checksum() {
    case $hasher in
        sha256sum) sum=$(sha256sum <"$1") ;;
        shasum) sum=$(shasum -a 256 <"$1") ;;
        openssl) sum=$(openssl dgst -sha256 -r <"$1") ;;
    esac
    echo "${sum%% *}"
}

main() {
    set -eu
    repository=https://github.com/cloudfront-invalidator/cloudfront-invalidator
    releases=${CF_INVALIDATE_RELEASES_URL:-$repository/releases}
    version='' to=''
    while [ $# -gt 0 ]; do
        case $1 in
            --version | --to)
                [ -n "${2-}" ] || fail "$1 needs a value"
                if [ "$1" = --to ]; then to=$2; else version=${2#v}; fi
                # `v` alone comes from a variable that is not set. It must not mean the latest version.
                [ "$1" = --to ] || [ -n "$version" ] || fail "--version needs a value after v"
                shift ;;
            --help) usage; exit ;;
            *) fail "unknown argument $1: see --help" ;;
        esac
        shift
    done
    case $version in
        *[!0-9A-Za-z.-]*) fail "$version is not a version: write it as 1.2.3" ;;
    esac
    case $releases in
        https://*) scheme=https ;;
        http://127.0.0.1:*@*) fail "CF_INVALIDATE_RELEASES_URL has another host than 127.0.0.1: it must start with https://" ;;
        http://127.0.0.1:*) scheme=http ;;
        *) fail "CF_INVALIDATE_RELEASES_URL is $releases: it must start with https://" ;;
    esac
    if [ -z "$to" ]; then
        [ -n "${HOME-}" ] || fail "HOME is not set: name the directory with --to"
        to=$HOME/.local/bin
    fi
    # The wget of BusyBox does not verify the certificate of the server.
    has curl || wget --version 2>/dev/null | grep -q '^GNU Wget' ||
        fail "curl and GNU wget are missing: install one of them"
    # wget has no option that refuses a redirection to plain HTTP. Such a request fails, because nothing listens on the
    # discard port.
    if [ "$scheme" = https ]; then export http_proxy=http://127.0.0.1:9; fi
    for hasher in sha256sum shasum openssl none; do
        if has "$hasher"; then break; fi
    done
    [ "$hasher" != none ] ||
        fail "sha256sum, shasum and openssl are missing: install one of them, so that the download can be verified"
    target=$(detect_target)

    archive=cf-invalidate-$target.tar.gz
    url=$releases/latest/download
    [ -z "$version" ] || url=$releases/download/v$version
    work='' new=''
    trap 'rm -rf "$work" "$new"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    work=$(mktemp -d)
    download "$url/SHA256SUMS" "$work/SHA256SUMS" ": is there a release${version:+ $version}?"
    download "$url/$archive" "$work/$archive" ''

    expected=''
    while read -r sum file; do
        # An asterisk before the name marks a binary file.
        if [ "${file#\*}" = "$archive" ]; then expected=$sum; fi
    done <"$work/SHA256SUMS"
    [ -n "$expected" ] || fail "$url/SHA256SUMS has no checksum of $archive: nothing was installed"
    actual=$(checksum "$work/$archive")
    [ "$actual" = "$expected" ] ||
        fail "the checksum of $url/$archive is $actual instead of $expected: nothing was installed; try again"
    tar -xzf "$work/$archive" -C "$work" "cf-invalidate-$target/cf-invalidate"

    unpacked=$work/cf-invalidate-$target/cf-invalidate
    # A temporary directory can be mounted so that nothing in it can run.
    installed=$("$unpacked" --version </dev/null) ||
        fail "$unpacked does not run: Linux needs glibc 2.17 or newer, and TMPDIR a directory where programs can run"
    case "$installed " in
        "cf-invalidate ${version:+$version }"*) ;;
        *) fail "$url/$archive contains $installed instead of version $version: nothing was installed" ;;
    esac

    mkdir -p "$to"
    to=$(cd "$to" && pwd)
    [ ! -d "$to/cf-invalidate" ] || fail "$to/cf-invalidate is a directory: choose another one with --to"
    # Beside the old binary, so that mv replaces it in one step.
    new=$(mktemp "$to/.cf-invalidate.XXXXXX")
    cp "$unpacked" "$new"
    chmod 755 "$new"
    mv -f "$new" "$to/cf-invalidate"
    new=''

    echo "installed $installed in $to"
    case :$PATH: in
        *:"$to":*)
            first=$(command -v cf-invalidate || true)
            [ "$first" = "$to/cf-invalidate" ] || echo "PATH has another one first: $first" ;;
        *) echo "add it to PATH: export PATH=\"$to:\$PATH\"" ;;
    esac
}

main "$@"
