//! `sandglass prebuild`: projects in, chunks at the addresses that workers look at out.

use std::process::{Command, Output};

use base64::Engine as _;
use serde_json::json;
use sha2::Digest as _;

use crate::fixture::Folder;
use crate::registry::Registry;

fn prebuild(folder: &Folder, registry: &Registry, project: &serde_json::Value) -> Output {
    folder.write("project.json", project.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandglass"));
    command.env_clear().env("HOME", &folder.0).current_dir(&folder.0);
    command.env("npm_config_registry", format!("http://{}/", registry.address));
    command.env("npm_config_globalconfig", folder.0.join("none"));
    command.args(["prebuild", "--out", "out", "--cache", "cache", "project.json"]).output().unwrap()
}

fn lock_of(tarball: &[u8]) -> String {
    let integrity = base64::engine::general_purpose::STANDARD.encode(sha2::Sha512::digest(tarball));
    json!({"lockfileVersion": 3, "packages": {
        "": {"dependencies": {"left": "^1.0.0"}},
        "node_modules/left": {"version": "1.0.0", "integrity": format!("sha512-{integrity}")},
    }})
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_is_written_under_its_key() {
    let (folder, registry) = (Folder::new(), Registry::start().await);
    let tarball = registry.publish("left", "1.0.0", &[("index.js", "module.exports = 1")], json!({}));
    let files = json!({"/package.json": "{\"dependencies\": {\"left\": \"^1.0.0\"}}", "/index.js": "import \"left\";"});
    let lock = lock_of(&tarball);
    let output = prebuild(&folder, &registry, &json!({"files": files, "lock": lock, "title": "ignored"}));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let key = bundler::prebuild_key(&lock, &["left".to_owned()]).unwrap();
    assert_eq!(printed, format!("out/{key}.js\n"));
    let chunk = std::fs::read_to_string(folder.0.join("out").join(format!("{key}.js"))).unwrap();
    assert!(chunk.contains("module.exports = 1"), "{chunk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_and_nothing_written() {
    let (folder, registry) = (Folder::new(), Registry::start().await);
    let check = |project: serde_json::Value, expected: &str| {
        let output = prebuild(&folder, &registry, &project);
        assert!(!output.status.success());
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(printed.starts_with("sandglass: project.json") && printed.contains(expected), "{printed}");
        assert!(!folder.0.join("out").exists());
    };
    let package = "{\"dependencies\": {\"left\": \"^1.0.0\"}}";
    let files = json!({"/package.json": package, "/index.js": "import \"left\";"});
    check(json!({"files": files}), "have no lock");
    check(json!({"files": files, "lock": lock_of(b"gone")}), "A package can't be had");
    check(json!({"files": {"/index.js": "let a = ;"}}), "/index.js:1");
    check(json!({"file": {}}), "is no project");
}
