//! Programs of other bundlers' test suites: none panics or hangs the transform, and
//! what comes out is JavaScript to Node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bundler_transform::quote;
use serde_json::Value;

use crate::check::Setup;
use crate::run::{node, registration};

/// Syntax that browsers have and the Node in use may not.
const RUNTIME_TOO_OLD: &[&str] = &["using "];

/// TypeScript refuses this name in a file with `export =` as well.
const RESERVED: &str = "let module = 123; export = module";

/// Cases of which this isn't the place to pass: the test resolves by path alone and
/// lowers nothing, and a bundler's own additions to the language aren't ours.
const FAILING: &[&str] = &[
    // `browser`, `type` and `sideEffects` of package.json.
    "line 372:",
    "line 383:",
    "line 412:",
    "line 2666:",
    "line 3279:",
    // Strict mode in ES5 output, `useDefineForClassFields`.
    "line 1448:",
    "line 1453:",
    "line 5704:",
    "line 5871:",
    // `exports` in an ES module, `var require` that hides nothing, names in stacks, tree shaking.
    "line 2029:",
    "line 2033:",
    "line 3187:",
    "line 3211:",
    "line 4728:",
    "line 4826:",
    "line 4830:",
    // JSON with `__proto__`, and as a module with only a default.
    "line 3540:",
    "line 4114:",
    // `require` of a computed path.
    "line 9233:",
    "line 9244:",
    "line 9255:",
    "line 9268:",
    // Asks the namespace for a method of `Object`, which one of ES modules hasn't.
    "create-undefined-export-property:",
];

#[test]
fn esbuild_end_to_end() {
    check_corpus("esbuild-e2e.json");
}

#[test]
fn rollup_function() {
    check_corpus("rollup-function.json");
}

#[test]
fn esbuild_end_to_end_runs() {
    check_running("esbuild-e2e.json");
}

#[test]
fn rollup_function_runs() {
    check_running("rollup-function.json");
}

/// Runs every case that asks for nothing but JavaScript.
fn check_running(name: &str) {
    let Some(corpus) = read(name) else { return };
    let cases: Vec<String> =
        corpus["cases"].as_array().expect("a corpus has cases").iter().filter_map(runnable).collect();
    let report = node(&["-"], &run_all(&cases));
    let failed: Vec<&str> =
        report.lines().filter(|line| !FAILING.iter().any(|known| line.starts_with(known))).collect();
    assert_eq!(failed, Vec::<&str>::new(), "{name}: {} cases were run", cases.len());
}

/// A case as JSON: its script, its globals, and how its exports are checked.
fn runnable(case: &Value) -> Option<String> {
    // Options are a bundler's; these change what the transform is asked for.
    let plain = |flag: &str| {
        ["--bundle", "--format", "--target", "--minify", "--keep-names", "--log"]
            .iter()
            .any(|known| flag.starts_with(known))
    };
    let flags = case["flags"].as_array().map_or(&[][..], Vec::as_slice);
    if !flags.iter().filter_map(Value::as_str).all(plain) {
        return None;
    }
    let files = files(case);
    let entry = format!("/{}", case["entry"].as_str()?.trim_start_matches('/'));
    let mut script = String::new();
    for (path, source) in &files {
        if path.ends_with(".json") {
            script.push_str(&format!(
                "__sg.d({},0,[],{{}},function(exports,module){{module.exports={source}}});",
                quote(path)
            ));
        } else if is_script(path) {
            let module = Setup::new(path).transform(source).ok()?;
            let text = registration(path, &module, &files);
            if text.split("function").next()?.contains("null")
                || RUNTIME_TOO_OLD.iter().any(|syntax| source.contains(syntax))
            {
                return None;
            }
            script.push_str(&text);
        } else {
            return None;
        }
    }
    let title = case["name"].as_str().map_or_else(|| format!("line {}", case["line"]), str::to_owned);
    let case = serde_json::json!({
        "title": title, "script": script, "entry": entry, "context": case["context"], "check": case["exportsCheck"],
        "async": case["async"],
    });
    Some(case.to_string().replace('\u{2028}', "\\u2028"))
}

fn run_all(cases: &[String]) -> String {
    format!("const registry={};const cases=[{}];{RUNNER}", quote(crate::run::REGISTRY), cases.join(",\n"))
}

/// Each case in a realm of its own; what fails is printed.
const RUNNER: &str = r#"
const vm = require('vm');
const { log } = console;
process.on('unhandledRejection', () => {});
Object.assign(console, { log() {}, warn() {}, error() {} });
Object.assign(globalThis, { assert: require('assert') });
(async () => {
  for (const { title, script, entry, context, check, async } of cases) {
    try {
      Object.assign(globalThis, context);
      vm.runInThisContext(registry + script);
      const done = __sg.run(entry);
      await Promise.race([done, new Promise((_, reject) => setTimeout(reject, 2000, new Error('hangs')).unref())]);
      const exports = __sg.namespace(entry);
      if (async) await exports.async();
      if (check) {
        const names = Object.keys(exports);
        const given = names.length === 1 && names[0] === 'default' ? exports.default : exports;
        await (/^(async )?exports\(/.test(check) ? vm.runInThisContext(`({${check}})`).exports(given) : vm.runInThisContext(`(${check})`)(given));
      }
    } catch (error) {
      log(title + ': ' + (error && error.message || error).toString().split('\n')[0]);
    }
  }
})();
"#;

fn check_corpus(name: &str) {
    let Some(corpus) = read(name) else { return };
    let mut scripts = Vec::new();
    let mut refused = Vec::new();
    for (number, case) in corpus["cases"].as_array().expect("a corpus has cases").iter().enumerate() {
        let title = case["name"].as_str().map_or_else(|| format!("case {number}"), str::to_owned);
        let files = files(case);
        for (path, source) in &files {
            if !is_script(path) || RUNTIME_TOO_OLD.iter().any(|syntax| source.contains(syntax)) || source == RESERVED {
                continue;
            }
            match Setup::new(path).transform(source) {
                Ok(module) => scripts.push((format!("{title} {path}"), registration(path, &module, &files))),
                Err(problems) => refused.push(format!("{title} {path}: {}", problems[0].message)),
            }
        }
    }
    let report = node(&["-"], &compile_all(&scripts));
    assert_eq!(report, "", "{name}: what the transform wrote isn't JavaScript");
    eprintln!("{name}: {} files were transformed, {} refused:\n{}", scripts.len(), refused.len(), refused.join("\n"));
    // A corpus of valid programs: what is refused is what isn't supported yet.
    assert!(refused.len() * 20 <= scripts.len(), "{name}: too much is refused:\n{}", refused.join("\n"));
}

/// The corpora lie beside the checkout; a clone elsewhere has none.
fn read(name: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} isn't there", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("a corpus is JSON"))
}

fn files(case: &Value) -> BTreeMap<String, String> {
    let files = case["files"].as_object().expect("a case has files");
    let path = |name: &str| format!("/{}", name.trim_start_matches(['.', '/']));
    files.iter().filter_map(|(name, text)| Some((path(name), text.as_str()?.to_owned()))).collect()
}

fn is_script(path: &str) -> bool {
    ["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"]
        .iter()
        .any(|extension| path.ends_with(&format!(".{extension}")))
}

/// A script that compiles each of these and prints those that don't.
fn compile_all(scripts: &[(String, String)]) -> String {
    let list: Vec<String> =
        scripts.iter().map(|(title, script)| format!("[{},{}]", quote(title), quote(script))).collect();
    format!(
        "const {{Script}}=require('vm');for(const [title,text] of [{}])try{{new Script(text)}}catch(error){{console.log(title,error.message,text)}}",
        list.join(",")
    )
}
