//! The content type of a file, by its extension.

/// The `Content-Type` of a file of this name.
pub fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "txt" | "md" | "ts" | "tsx" | "jsx" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "tgz" | "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

/// Whether a name carries a hash of its content (`main-4f2a9c01.js`), so that it never changes.
///
/// A word could look like a hash to a looser rule, and a page cached for a year
/// can't be called back: a hash has 8 characters or more, all hex or all
/// capitals and digits.
pub fn is_hashed(name: &str) -> bool {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let Some((_, hash)) = stem.rsplit_once('-') else { return false };
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let capital = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    hash.len() >= 8 && (hash.bytes().all(hex) || hash.bytes().all(capital))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashes_are_hashes() {
        for name in ["main-4f2a9c01.js", "sw-X7ZQ2AB9.wasm", "a-b-0011223344556677.js.map"] {
            assert!(is_hashed(name), "{name}");
        }
        for name in ["main.js", "main-component.js", "main-4f2a.js", "4f2a9c0134.js", "logo-.svg"] {
            assert!(!is_hashed(name), "{name}");
        }
    }
}
