//! The page itself: files that are part of the binary.
//!
//! `ui/` builds them into `dist` beside this module, and they are committed, so that building Millstream needs no Node.
//! Names carry no hash; browsers ask each time and get "not modified".

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

use super::{Shared, Ui};

/// A file of the bundle.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    body: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $media_type:literal),+ $(,)?) => {
        &[$(Asset { path: $path, media_type: $media_type, body: include_bytes!(concat!("dist/", $path)) }),+]
    };
}

const ASSETS: &[Asset] = assets![
    "assets/app.js" "text/javascript; charset=utf-8",
    "assets/sql.js" "text/javascript; charset=utf-8",
    "assets/style.css" "text/css; charset=utf-8",
    "assets/inter-latin-wght-normal.woff2" "font/woff2",
    "assets/jetbrains-mono-latin-wght-normal.woff2" "font/woff2",
    "favicon.svg" "image/svg+xml",
    "licences.txt" "text/plain; charset=utf-8",
];
const INDEX: &str = include_str!("dist/index.html");
const NONCE_PLACEHOLDER: &str = "__CSP_NONCE__";
/// Fonts are compressed already.
const COMPRESSED: &str = "font/woff2";

/// What is served of an asset, made at its first request.
struct Prepared {
    etag: HeaderValue,
    gzip: Option<Bytes>,
}

static PREPARED: [OnceLock<Prepared>; ASSETS.len()] = [const { OnceLock::new() }; ASSETS.len()];

pub(super) fn router(state: Arc<Ui>) -> Router {
    let mut router = Router::new()
        .route("/", get(index))
        .route("/index.html", get(index));
    for (number, asset) in ASSETS.iter().enumerate() {
        let serve = move |headers: HeaderMap| async move { serve(number, &headers) };
        router = router.route(&format!("/{}", asset.path), get(serve));
    }
    router.with_state(state)
}

/// The document, with a nonce for the styles that the editor makes while it runs.
async fn index(State(ui): Shared) -> Response {
    let nonce = format!("{:016x}{:016x}", ui.server.random(), ui.server.random());
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, &policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, INDEX.replace(NONCE_PLACEHOLDER, &nonce)).into_response()
}

fn serve(number: usize, headers: &HeaderMap) -> Response {
    let asset = &ASSETS[number];
    let prepared = PREPARED[number].get_or_init(|| prepare(asset));
    let mut known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut response = if known.any(|tag| names(tag, &prepared.etag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match prepared.gzip.as_ref().filter(|_| accepts_gzip(headers)) {
            Some(gzip) => ([(header::CONTENT_ENCODING, "gzip")], gzip.clone()).into_response(),
            None => Bytes::from_static(asset.body).into_response(),
        }
    };
    let constant = HeaderValue::from_static;
    for (name, value) in [
        (header::CONTENT_TYPE, constant(asset.media_type)),
        (header::ETAG, prepared.etag.clone()),
        (header::CACHE_CONTROL, constant("no-cache")),
        (header::VARY, constant("accept-encoding")),
        (header::X_CONTENT_TYPE_OPTIONS, constant("nosniff")),
        (header::CONTENT_SECURITY_POLICY, constant("default-src 'none'")),
    ] {
        response.headers_mut().insert(name, value);
    }
    response
}

fn prepare(asset: &Asset) -> Prepared {
    let digest = ring::digest::digest(&ring::digest::SHA256, asset.body);
    let hex: String = digest.as_ref()[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let etag = HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
    let gzip = (asset.media_type != COMPRESSED)
        .then(|| gzip(asset.body))
        .flatten();
    Prepared { etag, gzip }
}

fn gzip(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::best());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn names(list: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(list), Ok(etag)) = (list.to_str(), etag.to_str()) else {
        return false;
    };
    list.split(',')
        .any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.replace(' ', "").trim_start_matches("q=").parse() == Ok(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// What the whole bundle may weigh as browsers load it.
    const BUNDLE_BYTES: usize = 500_000;

    fn files(directory: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                files(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_built_file_is_embedded() {
        let mut built = BTreeSet::new();
        files(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui/dist"),
            "",
            &mut built,
        );
        let mut embedded: BTreeSet<String> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        embedded.insert("index.html".to_owned());
        assert_eq!(built, embedded);
    }

    #[test]
    fn the_bundle_is_small() {
        let weight = |asset: &Asset| prepare(asset).gzip.map_or(asset.body.len(), |gzip| gzip.len());
        let total: usize = ASSETS.iter().map(weight).sum();
        assert!(total <= BUNDLE_BYTES, "{total} bytes");
    }

    #[test]
    fn the_document_has_no_inline_code_and_one_place_for_the_nonce() {
        assert_eq!(INDEX.matches(NONCE_PLACEHOLDER).count(), 1);
        assert!(!INDEX.contains("<script>") && !INDEX.contains("<style") && !INDEX.contains("style="));
    }

    #[test]
    fn encodings_and_tags_are_negotiated() {
        let mut headers = HeaderMap::new();
        assert!(!accepts_gzip(&headers));
        for (value, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1, GZIP ; q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
        ] {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        }
        let full = serve(0, &headers);
        let etag = full.headers()[header::ETAG].clone();
        headers.insert(
            header::IF_NONE_MATCH,
            HeaderValue::try_from(format!("W/{}", etag.to_str().unwrap())).unwrap(),
        );
        assert_eq!(serve(0, &headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve(1, &headers).status(), StatusCode::OK);
    }
}
