//! Whatever is thrown at it: no panic, no hang, nothing outside the root.

use bundler_resolve::{FileSystem, Kind, Mode, Options, Resolution, Resolver};

use crate::fixture::Fixture;

const TREE: &str = r##"
# /package.json
{"name": "app", "exports": {"./*": "./*", "./a/": "./"}, "imports": {"#*": "./*", "#a": ["#a", "b", {"default": "app/x"}]},
 "browser": {"./a.js": "./a.js", "b": "b", "..": "..", "../..": false, "": "", "/": "/", ".": "./"}}
# /tsconfig.json
{"extends": "./tsconfig.json", "compilerOptions": {"baseUrl": ".", "paths": {"*": ["*", "../*", "/*"], "": [""], "**": ["x"]}}}
# /a.js
# /src/main.ts
# /node_modules/b/package.json
{"main": "../../..", "module": "../../../../..", "browser": {"./index.js": "b", "b": "./index.js"}}
# /node_modules/b/index.js
# /node_modules/é/index.js
# /node_modules/late pending
"##;

const PIECES: &[&str] = &[
    "",
    ".",
    "..",
    "/",
    "//",
    "./",
    "../",
    "a",
    "b",
    "src",
    "late",
    "@",
    "@s/",
    "#",
    "#a",
    "?",
    "?raw",
    "%",
    "%2e",
    "%2F",
    "%00",
    "*",
    ":",
    "node:",
    "http:",
    "\\",
    "\0",
    " ",
    "é",
    "💥",
    "~",
    "app",
    "node_modules",
    "node_modules/",
    ".js",
    "package.json",
    "__proto__",
    "constructor",
    "\u{202e}",
    "\n",
    "[",
    "{}",
    "a.js",
];

const ENDS: &[&str] = &["", "/", "/..", "/a", "#a", "?raw"];

fn is_normal(path: &str) -> bool {
    path.starts_with('/')
        && path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains('\0')
}

#[test]
fn specifiers_of_all_kinds() {
    let files = Fixture::parse(TREE);
    let mut resolver = Resolver::new(Options::default());
    let importers =
        ["/src/main.ts", "/node_modules/b/index.js", "/", "", "main.ts", "/node_modules/@s", "/a/../b.css?x"];
    let mut resolved = 0;
    for first in PIECES {
        for second in PIECES {
            for third in ENDS {
                let specifier = format!("{first}{second}{third}");
                let importer = importers[specifier.len() % importers.len()];
                let mode = if specifier.len().is_multiple_of(2) { Mode::Import } else { Mode::Require };
                match resolver.resolve(&files, importer, &specifier, mode) {
                    Ok(Resolution::File { path, query }) => {
                        resolved += 1;
                        assert!(is_normal(&path), "{specifier:?} leads to {path:?}");
                        assert_eq!(files.kind(&path), Kind::File, "{specifier:?} leads to {path:?}");
                        assert!(query.is_empty() || query.starts_with('?'), "{specifier:?} has the query {query:?}");
                    }
                    Ok(Resolution::Pending { folder, .. }) => assert_eq!(folder, "/node_modules/late", "{specifier:?}"),
                    Ok(Resolution::Empty | Resolution::Url(_)) => {}
                    Err(error) => {
                        assert!(!error.remedy().is_empty() && error.message().ends_with('.'), "{error:?}");
                    }
                }
            }
        }
    }
    assert!(resolved > 200, "only {resolved} specifiers led anywhere");
}

#[test]
fn long_ones() {
    let files = Fixture::parse(TREE);
    let mut resolver = Resolver::new(Options::default());
    for unit in ["../", "a/", "./", "@", "%41", "node_modules/", "é", "#"] {
        for length in [100, 600, 100_000] {
            let specifier = unit.repeat(length);
            let found = resolver.resolve(&files, "/src/main.ts", &specifier, Mode::Import);
            let error = found.expect_err("there is no such file");
            assert!(error.message().len() < 6000, "{unit}");
        }
    }
}

#[test]
fn manifests_of_all_kinds() {
    let values = [
        "null",
        "true",
        "5",
        "\"\"",
        "\".\"",
        "\"./\"",
        "\"./a\"",
        "\"..\"",
        "[]",
        "{}",
        "[[[{}]]]",
        "{\"\": \"\"}",
        "{\".\": {}}",
        "{\"./*\": \"./*\"}",
        "{\"*\": \"*\"}",
        "{\"#*\": \"#*\"}",
        "{\"p\": \"p\"}",
        "{\"./index.js\": \"./\"}",
    ];
    let nested = format!("{}{}", "{\"default\": ".repeat(100), "\"./index.js\"".to_owned() + &"}".repeat(100));
    for key in ["exports", "imports", "browser", "main", "module", "name", "type"] {
        for value in values.iter().copied().chain([nested.as_str()]) {
            let manifest = format!("{{\"name\": \"p\", \"{key}\": {value}}}");
            let files =
                Fixture::parse(&format!("# /node_modules/p/package.json\n{manifest}\n# /node_modules/p/index.js"));
            let mut resolver = Resolver::new(Options::default());
            for specifier in ["p", "p/", "p/index.js", "p/*", "#x", "#*", ".", "./index", "node:p"] {
                for mode in [Mode::Import, Mode::Require] {
                    if let Ok(Resolution::File { path, .. }) =
                        resolver.resolve(&files, "/node_modules/p/index.js", specifier, mode)
                    {
                        assert_eq!(files.kind(&path), Kind::File, "{manifest} {specifier}");
                    }
                }
            }
        }
    }
}
