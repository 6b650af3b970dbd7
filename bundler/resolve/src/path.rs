//! Arithmetic on paths. A folder is written without trailing slash, the root as `""`.

const PACKAGES: &str = "/node_modules/";

/// `/src/a.ts` → `/src`.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..at])
}

/// `/src/a.ts` → `a.ts`.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The text after the last dot of the last segment; a leading dot starts no extension.
pub(crate) fn extension_of(path: &str) -> &str {
    match name_of(path).rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension,
        _ => "",
    }
}

/// A folder and all above it, from the inside out; the root is last.
pub(crate) fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| (!folder.is_empty()).then(|| folder_of(folder)))
}

/// Joins and normalises; `None` above the root. The root itself is `""`.
pub(crate) fn join(folder: &str, relative: &str) -> Option<String> {
    let start = if relative.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = start.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.iter().fold(String::new(), |path, part| path + "/" + part))
}

/// Whether a file belongs to a package that was installed.
pub(crate) fn is_in_packages(path: &str) -> bool {
    path.contains(PACKAGES)
}

/// `/node_modules/@a/b/x.js` → `/node_modules/@a/b`: the innermost package folder.
pub(crate) fn package_folder(path: &str) -> Option<&str> {
    let start = path.rfind(PACKAGES)? + PACKAGES.len();
    let mut segments = path[start..].split('/');
    let mut length = segments.next()?.len();
    if path[start..].starts_with('@') {
        length += 1 + segments.next()?.len();
    }
    Some(&path[..start + length])
}

/// How a file of `folder` writes the way to `path`: `../b/c.ts`.
pub(crate) fn relative(folder: &str, path: &str) -> String {
    let from: Vec<&str> = folder.split('/').skip(1).collect();
    let to: Vec<&str> = path.split('/').skip(1).collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let ups = from.len() - common;
    let start = if ups == 0 { "./".to_owned() } else { "../".repeat(ups) };
    start + &to[common..].join("/")
}

#[cfg(test)]
mod tests {
    use super::{extension_of, join, package_folder, relative};

    #[test]
    fn joined() {
        assert_eq!(join("/src/a", "../b//./c").as_deref(), Some("/src/b/c"));
        assert_eq!(join("/src", "..").as_deref(), Some(""));
        assert_eq!(join("/src", "/x/").as_deref(), Some("/x"));
        assert_eq!(join("/src", "../../x"), None);
        assert_eq!(join("", "./x").as_deref(), Some("/x"));
    }

    #[test]
    fn package_folders() {
        assert_eq!(package_folder("/node_modules/a/x.js"), Some("/node_modules/a"));
        assert_eq!(package_folder("/node_modules/a/node_modules/@b/c/d.js"), Some("/node_modules/a/node_modules/@b/c"));
        assert_eq!(package_folder("/node_modules/@b"), None);
    }

    #[test]
    fn relatives_and_extensions() {
        assert_eq!(relative("/src", "/src/a.ts"), "./a.ts");
        assert_eq!(relative("/src/x", "/src/y/a.ts"), "../y/a.ts");
        assert_eq!(relative("", "/a.ts"), "./a.ts");
        assert_eq!(extension_of("/a.b/.env"), "");
        assert_eq!(extension_of("/a.b/c.d.ts"), "ts");
    }
}
