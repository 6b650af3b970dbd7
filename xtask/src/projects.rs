//! Projects that come with a site: templates and the playgrounds of example pages.
//!
//! In:  `static/templates/NAME/` with `template.json` (title, description, open)
//!      among its files; `static/examples/NAME.html`.
//! Out: `{"title", "description", "open", "files": {"/path": text}, "lock"}`; an
//!      example has files and lock only.

mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::repo::Repo;
use crate::steps::{files, read};

/// All templates by name, as JSON texts.
///
/// # Errors
/// Names the template that isn't in order.
pub fn templates(repo: &Repo) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut templates = BTreeMap::new();
    let folder = repo.at("static/templates");
    for entry in fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let template = template(&path).with_context(|| format!("template {name}"))?;
            templates.insert(name, template);
        }
    }
    Ok(templates)
}

/// Templates and examples, by a name for each.
///
/// # Errors
/// Names the project that isn't in order.
pub fn all(repo: &Repo) -> anyhow::Result<BTreeMap<String, Value>> {
    let templates = templates(repo)?;
    let mut projects = BTreeMap::new();
    for path in files(&repo.at("static/examples"))?.into_iter().filter(|path| path.extension() == Some("html".as_ref()))
    {
        let page = String::from_utf8(read(&path)?).with_context(|| format!("{} is no text", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (number, playground) in page::playgrounds(&page).into_iter().enumerate() {
            let folder = path.parent().unwrap_or(&path);
            let example = example(folder, &templates, &playground).with_context(|| format!("example {stem}"))?;
            projects.insert(format!("example-{stem}-{number}"), example);
        }
    }
    projects.extend(templates.into_iter().map(|(name, template)| (format!("template-{name}"), template)));
    Ok(projects)
}

/// A playground's own files over those of its template.
fn example(folder: &Path, templates: &BTreeMap<String, Value>, playground: &page::Playground) -> anyhow::Result<Value> {
    // Pages name what lies beside them, by `/examples/NAME` or `NAME`.
    let beside = |address: &str| folder.join(address.rsplit('/').next().unwrap_or(address));
    let attribute = |name: &str| playground.attributes.get(name);
    let base = match (attribute("project"), attribute("template").or(attribute("extends"))) {
        (Some(address), _) => {
            serde_json::from_slice(&read(&beside(address))?).with_context(|| format!("{address} is no JSON"))?
        }
        (None, Some(name)) => templates.get(name).with_context(|| format!("there is no template {name}"))?.clone(),
        (None, None) => Value::Null,
    };
    let mut project = json!({ "files": base["files"], "lock": base["lock"] });
    for (path, text) in &playground.files {
        project["files"][path] = json!(text);
    }
    if let Some(lock) = attribute("lock") {
        let text = read(&beside(lock)).context("its lock")?;
        project["lock"] = json!(String::from_utf8(text).context("its lock is no text")?);
    }
    Ok(project)
}

fn template(folder: &Path) -> anyhow::Result<Value> {
    let mut head = None;
    let mut lock = None;
    let mut project = Map::new();
    for path in files(folder)? {
        let inner = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        let text = String::from_utf8(read(&path)?).with_context(|| format!("{inner} is no text"))?;
        match inner.as_str() {
            "template.json" => head = Some(serde_json::from_str::<Map<String, Value>>(&text).context("template.json")?),
            "package-lock.json" => lock = Some(text),
            _ => {
                project.insert(format!("/{inner}"), Value::from(text));
            }
        }
    }
    let mut template = head.context("template.json isn't there")?;
    for field in ["title", "description", "open"] {
        if !template.contains_key(field) {
            bail!("template.json says no \"{field}\"");
        }
    }
    if let Some(missing) = open(&template).find(|path| !project.contains_key(*path)) {
        bail!("template.json opens {missing}, which isn't there");
    }
    template.insert("files".to_owned(), Value::Object(project));
    template.insert("lock".to_owned(), json!(lock));
    Ok(Value::Object(template))
}

fn open(template: &Map<String, Value>) -> impl Iterator<Item = &str> {
    template["open"].as_array().into_iter().flatten().filter_map(Value::as_str)
}
