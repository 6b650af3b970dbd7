//! What `package.json` and `tsconfig.json` say about a build.

use std::collections::BTreeMap;

use bundler_transform::Jsx;
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::files::Files;

const PATH: &str = "/package.json";

/// The settings of a project that stand in its files.
pub(crate) struct Manifest {
    /// Name → range; what a page can use of `dependencies` and `devDependencies`.
    pub(crate) dependencies: BTreeMap<String, String>,
    pub(crate) jsx: Jsx,
    source: String,
}

impl Manifest {
    /// Reads the manifest of a project; without one there are no dependencies.
    pub(crate) fn read(files: &Files) -> Result<Self, Diagnostic> {
        let source = match files.get(PATH) {
            None => String::new(),
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        };
        let value = if source.is_empty() { Value::Null } else { parse(&source)? };
        let dependencies = dependencies(&value, &source)?;
        let jsx = jsx(files, &dependencies);
        Ok(Self { dependencies, jsx, source })
    }

    /// An error about a dependency, placed where `package.json` names it.
    pub(crate) fn problem(&self, package: &str, message: String, remedy: String) -> Diagnostic {
        self.placed(package, Diagnostic::error(PATH, message, remedy))
    }

    /// A problem of a package, placed where `package.json` names it; as it is where that doesn't.
    pub(crate) fn placed(&self, package: &str, mut found: Diagnostic) -> Diagnostic {
        match self.source.find(&format!("\"{package}\"")) {
            Some(at) if !package.is_empty() && found.line == 0 => {
                PATH.clone_into(&mut found.file);
                found.at(&self.source, at as u32, (at + package.len() + 2) as u32)
            }
            _ => found,
        }
    }
}

fn parse(source: &str) -> Result<Value, Diagnostic> {
    serde_json::from_str(source.trim_start_matches('\u{feff}')).map_err(|error| {
        let offset: usize = source.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = (offset + error.column().saturating_sub(1)) as u32;
        let text = error.to_string();
        let message = format!("package.json isn't valid JSON: {}.", text.split(" at line").next().unwrap_or(&text));
        Diagnostic::error(PATH, message, "").at(source, at, at + 1)
    })
}

fn dependencies(value: &Value, source: &str) -> Result<BTreeMap<String, String>, Diagnostic> {
    let mut out = BTreeMap::new();
    let Some(Value::Object(list)) = value.get("dependencies") else { return Ok(out) };
    for (name, range) in list {
        let Some(range) = range.as_str() else {
            let at = source.find(&format!("\"{name}\"")).unwrap_or(0) as u32;
            let message = format!("The version of {name} has to be a string.");
            let remedy = format!("Write \"{name}\": \"*\" or a range such as \"^1.0.0\".");
            return Err(Diagnostic::error(PATH, message, remedy).at(source, at, at + name.len() as u32 + 2));
        };
        // Types are the editor's business and never reach a page.
        if !name.starts_with("@types/") {
            out.insert(name.clone(), range.to_owned());
        }
    }
    Ok(out)
}

/// How JSX is compiled: tsconfig's settings, else by what is depended on.
fn jsx(files: &Files, dependencies: &BTreeMap<String, String>) -> Jsx {
    let config = ["/tsconfig.json", "/tsconfig.app.json", "/jsconfig.json"]
        .iter()
        .filter_map(|path| files.get(path))
        .filter_map(|bytes| serde_json::from_str::<Value>(&strip_comments(&String::from_utf8_lossy(bytes))).ok())
        .find_map(|value| value.get("compilerOptions").filter(|options| options.get("jsx").is_some()).cloned())
        .unwrap_or(Value::Null);
    let option = |name: &str| config.get(name).and_then(Value::as_str);
    if option("jsx") == Some("react") {
        return Jsx::Classic {
            pragma: option("jsxFactory").unwrap_or("React.createElement").to_owned(),
            fragment: option("jsxFragmentFactory").unwrap_or("React.Fragment").to_owned(),
        };
    }
    let by_dependency = || {
        let preact = dependencies.contains_key("preact") && !dependencies.contains_key("react");
        if preact { "preact" } else { "react" }
    };
    Jsx::Automatic { import_source: option("jsxImportSource").unwrap_or_else(by_dependency).to_owned() }
}

/// Whether React Refresh applies to components written so.
pub(crate) fn uses_react(jsx: &Jsx) -> bool {
    match jsx {
        Jsx::Automatic { import_source } => import_source == "react",
        Jsx::Classic { pragma, .. } => pragma.starts_with("React."),
    }
}

/// JSON with comments and trailing commas → JSON, as tsconfig files need it.
fn strip_comments(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push(c);
                while let Some(c) = chars.next() {
                    out.push(c);
                    match c {
                        '\\' => out.extend(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                chars.next();
                for c in chars.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            '}' | ']' => {
                let kept = out.trim_end().trim_end_matches(',').len();
                if out.trim_end().ends_with(',') {
                    out.truncate(kept);
                }
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::strip_comments;

    #[test]
    fn comments_and_commas() {
        let source = "{ // a\n \"b\": \"// c\", /* d */ \"e\": [1, 2,], }";
        let value: serde_json::Value = serde_json::from_str(&strip_comments(source)).expect("valid JSON");
        assert_eq!(value, serde_json::json!({"b": "// c", "e": [1, 2]}));
    }
}
