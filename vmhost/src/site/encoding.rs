//! Reads `Accept-Encoding`: may this response be brotli?

use axum::http::{HeaderMap, header};

/// Whether the client takes brotli and does not like it less than plain bytes.
pub fn accepts_brotli(headers: &HeaderMap) -> bool {
    let (mut brotli, mut any, mut identity) = (None, None, None);
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or("").split(',') {
            let (coding, quality) = parse(item);
            match coding.as_str() {
                "br" => brotli = Some(quality),
                "*" => any = Some(quality),
                "identity" => identity = Some(quality),
                _ => {}
            }
        }
    }
    let brotli = brotli.or(any).unwrap_or(0.0);
    brotli > 0.0 && brotli >= identity.unwrap_or(0.0)
}

/// ` br;q=0.5` → (`br`, 0.5). A quality that is no number counts as a refusal.
fn parse(item: &str) -> (String, f32) {
    let mut parts = item.split(';');
    let coding = parts.next().unwrap_or("").trim().to_ascii_lowercase();
    let quality = parts
        .find_map(|parameter| parameter.trim().strip_prefix("q=").map(|q| q.trim().parse().unwrap_or(0.0)))
        .unwrap_or(1.0);
    (coding, quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualities_decide() {
        let accepts = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            accepts_brotli(&headers)
        };
        for yes in ["br", "gzip, br;q=0.1", "*", "GZIP, BR", "br;q=1, identity;q=0.5", "gzip;q=1.0, *;q=0.5"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "gzip", "br;q=0", "*;q=1, br;q=0", "br;q=0.2, identity", "br;q=x", "brotli"] {
            assert!(!accepts(no), "{no}");
        }
        assert!(!accepts_brotli(&HeaderMap::new()));
    }
}
