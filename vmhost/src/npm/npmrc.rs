//! npm's own configuration: where it looks, in its order.
//!
//! In:  the environment and the project's, the user's and the global `.npmrc`.
//! Out: one value a key, the first found.
//!
//! npm itself is asked for what only it knows (its built-in registry, where its
//! global file lies), once, and only if it is installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{debug, warn};

/// A copy of the environment, so that a test can bring its own.
pub type Environment = BTreeMap<String, String>;

/// How long npm may take to answer: it starts in well under a second.
const ASK_TIMEOUT: Duration = Duration::from_secs(15);

/// Layers of settings, the strongest first.
#[derive(Debug, Default, Clone)]
pub struct NpmConfig {
    layers: Vec<BTreeMap<String, String>>,
}

impl NpmConfig {
    /// Reads everything there is. `project` overrides the search for a project's file upwards from `folder`.
    pub async fn load(environment: &Environment, folder: &Path, project: Option<&Path>) -> Self {
        let mut config = Self::default();
        config.push(from_environment(environment));
        let project = project.map(Path::to_path_buf).or_else(|| find_upwards(folder));
        config.push_file(project, environment);
        let home = environment.get("HOME").map(|home| Path::new(home).join(".npmrc"));
        config.push_file(config.get("userconfig").map(PathBuf::from).or(home), environment);
        let npm = if config.get("globalconfig").is_some() && config.get("registry").is_some() {
            BTreeMap::new()
        } else {
            ask_npm(environment, folder).await
        };
        let prefix = config.get("prefix").map(|prefix| Path::new(prefix).join("etc/npmrc"));
        let global = config.get("globalconfig").map(PathBuf::from).or(prefix);
        config.push_file(global.or_else(|| npm.get("globalconfig").map(PathBuf::from)), environment);
        config.push(npm);
        config.push(proxies(environment));
        config
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.layers.iter().find_map(|layer| layer.get(key)).map(String::as_str)
    }

    /// Every key that is set, with its value.
    pub fn all(&self) -> BTreeMap<&str, &str> {
        let pairs = self.layers.iter().rev().flatten();
        pairs.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// Adds a weaker layer.
    pub fn push(&mut self, layer: BTreeMap<String, String>) {
        self.layers.push(layer);
    }

    fn push_file(&mut self, path: Option<PathBuf>, environment: &Environment) {
        let Some(path) = path else { return };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                debug!(path = %path.display(), "npm configuration");
                self.push(parse(&text, environment));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => warn!(path = %path.display(), %error, "can't read npm's configuration"),
        }
    }
}

/// `npm_config_strict_ssl=false` → `strict-ssl` = `false`. Keys of one registry keep their spelling.
fn from_environment(environment: &Environment) -> BTreeMap<String, String> {
    let mut layer = BTreeMap::new();
    for (name, value) in environment {
        let prefix = name.get(..11).filter(|prefix| prefix.eq_ignore_ascii_case("npm_config_"));
        if prefix.is_none() || value.is_empty() {
            continue;
        }
        let key = &name[11..];
        let literal = key.starts_with("//") || key.starts_with('@');
        let key = if literal { key.to_owned() } else { key.to_ascii_lowercase().replace('_', "-") };
        layer.insert(key, value.clone());
    }
    layer
}

/// The usual proxy variables, which npm takes where its own settings say nothing.
fn proxies(environment: &Environment) -> BTreeMap<String, String> {
    let names = [("https-proxy", "HTTPS_PROXY"), ("proxy", "HTTP_PROXY"), ("noproxy", "NO_PROXY")];
    let value = |name: &str| environment.get(name).or_else(|| environment.get(&name.to_ascii_lowercase()));
    names.iter().filter_map(|(key, name)| Some(((*key).to_owned(), value(name)?.clone()))).collect()
}

fn find_upwards(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(".npmrc")).find(|path| path.is_file())
}

/// Parses the ini dialect of `.npmrc`, with `${NAME}` from the environment.
pub fn parse(text: &str, environment: &Environment) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with([';', '#', '[']) {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, "true"));
        values.insert(expand(key.trim(), environment), expand(unquoted(value.trim()), environment));
    }
    values
}

fn unquoted(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(inner) = inner('"').or_else(|| inner('\'')) {
        return inner;
    }
    // A comment behind a value needs a space before it: tokens and URLs may hold `#` and `;`.
    let comment = value.find(" ;").or_else(|| value.find(" #"));
    value[..comment.unwrap_or(value.len())].trim_end()
}

/// Replaces `${NAME}`; `${NAME?}` may be unset and is then empty. An unset one stays as written, as npm has it.
fn expand(text: &str, environment: &Environment) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let name = &rest[start + 2..start + length];
        expanded.push_str(&rest[..start]);
        match (environment.get(name.trim_end_matches('?')), name.ends_with('?')) {
            (Some(value), _) => expanded.push_str(value),
            (None, true) => {}
            (None, false) => expanded.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    expanded.push_str(rest);
    expanded
}

/// Asks the installed npm, if any, for what stands in none of the files.
async fn ask_npm(environment: &Environment, folder: &Path) -> BTreeMap<String, String> {
    let mut command = tokio::process::Command::new("npm");
    command.args(["config", "get", "registry", "globalconfig", "cafile"]);
    command.env_clear().envs(environment).current_dir(folder).stdin(std::process::Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(ASK_TIMEOUT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => answers(&String::from_utf8_lossy(&output.stdout)),
        Ok(Ok(output)) => {
            warn!(status = %output.status, "npm does not tell its configuration");
            BTreeMap::new()
        }
        Ok(Err(error)) => {
            debug!(%error, "npm is not installed");
            BTreeMap::new()
        }
        Err(_) => {
            warn!("npm does not answer");
            BTreeMap::new()
        }
    }
}

/// `registry=URL` a line; what is not set is printed as `null` or `undefined`.
fn answers(output: &str) -> BTreeMap<String, String> {
    let pairs = output.lines().filter_map(|line| line.trim().split_once('='));
    let set = |value: &str| !matches!(value, "" | "null" | "undefined");
    pairs.filter(|(_, value)| set(value)).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ini_dialect() {
        let environment = Environment::from([("TOKEN".to_owned(), "t0p".to_owned())]);
        let text = "
            ; a comment
            registry = https://a.test/npm/   ; ours
            //a.test/npm/:_authToken=${TOKEN}
            quoted=\"a ; b\"
            unset=${NOPE}
            maybe=x${NOPE?}y
            flag
            [section]
            broken=${TOKEN";
        let got = parse(text, &environment);
        let expected = [
            ("//a.test/npm/:_authToken", "t0p"),
            ("broken", "${TOKEN"),
            ("flag", "true"),
            ("maybe", "xy"),
            ("quoted", "a ; b"),
            ("registry", "https://a.test/npm/"),
            ("unset", "${NOPE}"),
        ];
        assert_eq!(got.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn environment_names_become_keys() {
        let pairs = [
            ("npm_config_strict_ssl", "false"),
            ("NPM_CONFIG_REGISTRY", "r"),
            ("npm_config_@s:registry", "s"),
            ("HOME", "h"),
        ];
        let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let layer = from_environment(&environment);
        assert_eq!(layer.keys().collect::<Vec<_>>(), ["@s:registry", "registry", "strict-ssl"]);
    }

    #[test]
    fn npm_prints_what_is_unset_as_null() {
        let got = answers("registry=https://a.test/\nglobalconfig=/etc/npmrc\ncafile=null\n");
        assert_eq!(got.keys().collect::<Vec<_>>(), ["globalconfig", "registry"]);
    }
}
