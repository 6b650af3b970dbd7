//! What built files say where an origin goes.
//!
//! A server writes its own origins in as it sends a file; `dist` writes them
//! into the files. The words are those of `vmhost/src/site.rs`.

/// In a script, quotes included: becomes the pattern of preview origins.
pub const PREVIEW: &str = "\"__SANDGLASS_PREVIEW__\"";

/// In a page: becomes the app's origin.
pub const APP: &str = "__SANDGLASS_APP__";

/// The files that may hold markers.
pub fn holds(name: &str) -> bool {
    name.ends_with(".html") || name == "sandglass-playground.js"
}

/// Writes both origins in.
pub fn replace(text: &str, app: &str, preview: &str) -> String {
    text.replace(PREVIEW, &serde_json::Value::from(preview).to_string()).replace(APP, app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_in() {
        let text = "let p=\"__SANDGLASS_PREVIEW__\";<a href=\"__SANDGLASS_APP__/x\">";
        let expected = "let p=\"https://{id}.b\";<a href=\"https://a/x\">";
        assert_eq!(replace(text, "https://a", "https://{id}.b"), expected);
    }
}
