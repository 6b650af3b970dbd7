//! What a resolver keeps, and when it forgets.

use bundler_resolve::{Mode, Options, Resolver};

use crate::fixture::Fixture;
use crate::shown;

/// Resolves with a resolver that has been used before.
fn check(resolver: &mut Resolver, files: &Fixture, specifier: &str, expected: &str) {
    let found = shown(&resolver.resolve(files, "/src/main.ts", specifier, Mode::Import));
    assert_eq!(found.lines().next(), Some(expected));
}

#[test]
fn a_manifest_that_changed() {
    let mut files = Fixture::parse(
        "# /node_modules/p/package.json\n{\"main\": \"a.js\"}\n# /node_modules/p/a.js\n# /node_modules/p/b.js",
    );
    let mut resolver = Resolver::new(Options::default());
    check(&mut resolver, &files, "p", "/node_modules/p/a.js");
    files.write("/node_modules/p/package.json", "{\"main\": \"b.js\"}");
    resolver.invalidate("/node_modules/p/package.json");
    check(&mut resolver, &files, "p", "/node_modules/p/b.js");
}

#[test]
fn a_package_that_came() {
    let mut files = Fixture::parse("# /node_modules/p pending");
    let mut resolver = Resolver::new(Options::default());
    check(&mut resolver, &files, "p/x", "pending /node_modules/p by p/x");
    assert!(resolver.package_of(&files, "/node_modules/p/esm/x.js").is_none());
    files.unpack("/node_modules/p");
    files.write("/node_modules/p/package.json", "{\"exports\": {\"./x\": \"./esm/x.js\"}}");
    files.write("/node_modules/p/esm/package.json", "{\"type\": \"module\"}");
    files.write("/node_modules/p/esm/x.js", "");
    resolver.invalidate("/node_modules/p/package.json");
    check(&mut resolver, &files, "p/x", "/node_modules/p/esm/x.js");
    let package = resolver.package_of(&files, "/node_modules/p/esm/x.js").expect("it has come");
    assert_eq!((package.folder.as_str(), package.is_module), ("/node_modules/p/esm", true));
}

#[test]
fn a_configuration_that_came_and_changed() {
    let mut files = Fixture::parse("# /src/a.ts\n# /lib/a.ts\n# /src/main.ts");
    let mut resolver = Resolver::new(Options::default());
    check(
        &mut resolver,
        &files,
        "@/a",
        "/src/main.ts imports \"@/a\", which is neither a package nor mapped to a folder.",
    );
    for (path, folder) in [("/tsconfig.json", "src"), ("/tsconfig.json", "lib")] {
        files.write(path, &format!("{{\"compilerOptions\": {{\"paths\": {{\"@/*\": [\"./{folder}/*\"]}}}}}}"));
        resolver.invalidate(path);
        check(&mut resolver, &files, "@/a", &format!("/{folder}/a.ts"));
    }
}

#[test]
fn whose_manifest_is_it() {
    let files = Fixture::parse(
        "# /package.json\n{\"name\": \"app\", \"type\": \"module\"}\n# /node_modules/p/x.js\n# /node_modules/@s/q/package.json\n{\"type\": \"commonjs\"}\n# /src/package.json\nnot JSON",
    );
    let mut resolver = Resolver::new(Options::default());
    let mut is_module = |path| resolver.package_of(&files, path).map(|package| package.is_module);
    assert_eq!(is_module("/lib/a/b.js"), Some(true));
    assert_eq!(is_module("/node_modules/p/x.js"), None);
    assert_eq!(is_module("/node_modules/@s/q/deep/x.js"), Some(false));
    assert_eq!(is_module("/src/x.js"), Some(false));
    assert_eq!(is_module(""), Some(true));
}

#[test]
fn other_conditions() {
    let files = Fixture::parse(
        "# /node_modules/p/package.json\n{\"exports\": {\"production\": \"./p.js\", \"default\": \"./d.js\"}}\n# /node_modules/p/p.js\n# /node_modules/p/d.js",
    );
    let mut resolver = Resolver::new(Options { conditions: vec!["production".to_owned()] });
    check(&mut resolver, &files, "p", "/node_modules/p/p.js");
}
