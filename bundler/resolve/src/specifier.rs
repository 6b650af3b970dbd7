//! What a specifier is by its text alone.

/// Longest specifier that is looked at; a longer one can't name a file of a project.
const MAX_BYTES: usize = 2048;

/// How a specifier is to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `./a`, `../a`, `.`, `..`
    Relative,
    /// `/src/a`, from the project's root.
    Absolute,
    /// `#a`, in `imports` of the nearest `package.json`.
    Internal,
    /// `react`, `@a/b/c`, `node:fs`.
    Bare,
}

impl Form {
    pub(crate) fn of(text: &str) -> Self {
        match text.as_bytes() {
            [b'/', ..] => Self::Absolute,
            [b'#', ..] => Self::Internal,
            b"." | b".." | [b'.', b'/', ..] | [b'.', b'.', b'/', ..] => Self::Relative,
            _ => Self::Bare,
        }
    }
}

/// Why a text can't be a specifier at all.
pub(crate) fn flaw(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > MAX_BYTES {
        Some("it is too long")
    } else if text.contains('\\') {
        Some("it has a backslash, and paths are written with /")
    } else if text.contains(char::is_control) {
        Some("it has a control character")
    } else {
        None
    }
}

/// Whether the browser fetches it by itself: `https:`, `//`, `data:`, `blob:`.
pub(crate) fn is_url(text: &str) -> bool {
    let known = ["http", "https", "data", "blob"];
    text.starts_with("//") || scheme(text).is_some_and(|scheme| known.iter().any(|k| scheme.eq_ignore_ascii_case(k)))
}

/// `npm:react` → `npm`.
pub(crate) fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(inner)).then_some(scheme)
}

/// `./a.svg?raw#x` → (`./a.svg`, `?raw`). A fragment doesn't make another module.
pub(crate) fn split_query(text: &str) -> (&str, &str) {
    let Some(at) = text.find('?') else { return (text, "") };
    let query = text[at..].split('#').next().unwrap_or("");
    (&text[..at], if query == "?" { "" } else { query })
}

/// `./a.svg#x` → `./a.svg`; `None` without a fragment.
pub(crate) fn without_fragment(text: &str) -> Option<&str> {
    let at = text.char_indices().skip(1).find(|(_, c)| *c == '#')?.0;
    Some(&text[..at])
}

/// `@a/b/c` → (`@a/b`, `/c`). `None`: no package can be called so.
pub(crate) fn split_package(text: &str) -> Option<(&str, &str)> {
    let first = text.find('/').unwrap_or(text.len());
    let end = if text.starts_with('@') {
        let second = text.get(first + 1..)?;
        first + 1 + second.find('/').unwrap_or(second.len())
    } else {
        first
    };
    let (name, rest) = text.split_at(end);
    let scoped = name.split('/').all(|part| !part.is_empty() && part != "@" && !part.starts_with('.'));
    (scoped && !name.contains(['%', ':'])).then_some((name, rest))
}

/// `/a%20b` → `/a b`, of a normalised path; `None` where decoding changes nothing or would make another path of it.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let value = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        match value {
            // A decoded separator, query, backslash or NUL would change what the path means.
            Some(b'/' | b'\\' | b'?' | b'#' | 0) => return None,
            Some(value) => {
                out.push(value);
                rest = &tail[2..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    let decoded = String::from_utf8(out).ok()?;
    let dots = decoded.split('/').any(|part| matches!(part, "." | ".."));
    (decoded != text && !dots).then_some(decoded)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages() {
        assert_eq!(split_package("react"), Some(("react", "")));
        assert_eq!(split_package("react/"), Some(("react", "/")));
        assert_eq!(split_package("@a/b/c/d"), Some(("@a/b", "/c/d")));
        for bad in ["@", "@a", "@a/", "@/a", ".a", "", "@a/..", "a%2fb", "@a/..%2f", "npm:a"] {
            assert_eq!(split_package(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn urls_and_schemes() {
        for url in ["http://a", "HTTPS://a", "//a/b", "data:text/javascript,1", "blob:x"] {
            assert!(is_url(url), "{url}");
        }
        for other in ["/a", "node:fs", "npm:a", "@a/b:c", "./a:b", "a"] {
            assert!(!is_url(other), "{other}");
        }
        assert_eq!(scheme("C:/a"), Some("C"));
        assert_eq!(scheme("./a:b"), None);
    }

    #[test]
    fn queries() {
        assert_eq!(split_query("./a.svg?raw#x"), ("./a.svg", "?raw"));
        assert_eq!(split_query("./a?"), ("./a", ""));
        assert_eq!(without_fragment("./a#b#c"), Some("./a"));
        assert_eq!(without_fragment("#a"), None);
    }

    #[test]
    fn percent() {
        assert_eq!(decoded("/a%20b%c3%a9").as_deref(), Some("/a bé"));
        for same in ["/a", "/%", "/%2", "/%zz", "/%2e%2e/a", "/a%2Fb", "/a%00", "/%ff"] {
            assert_eq!(decoded(same), None, "{same}");
        }
    }
}
