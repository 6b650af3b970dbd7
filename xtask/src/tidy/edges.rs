//! Who never knows whom: dependencies that the design rules out.

use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use crate::process::ask;
use crate::repo::Repo;

/// Crates that name the browser.
const BROWSER: [&str; 7] =
    ["web-sys", "js-sys", "wasm-bindgen", "wasm-bindgen-futures", "gloo", "serde-wasm-bindgen", "leptos"];
/// Crates that name a machine: its network, its threads, its clock.
const MACHINE: [&str; 7] = ["tokio", "axum", "tower", "tower-http", "reqwest", "hyper", "tracing"];
/// What makes virtual machines.
const KVM: [&str; 5] = ["kvm-ioctls", "kvm-bindings", "vm-memory", "linux-loader", "virtio-queue"];
/// What the worker must not see of a page.
const DOM: [&str; 6] = ["Document", "Window", "Element", "HtmlElement", "Node", "HtmlIFrameElement"];

/// Dependencies that break a rule.
///
/// # Errors
/// When cargo doesn't describe the workspace.
pub fn broken(repo: &Repo) -> anyhow::Result<Vec<String>> {
    Ok(judge(&metadata(repo)?))
}

/// What cargo says about the workspace's own crates.
///
/// # Errors
/// When cargo doesn't describe the workspace.
pub fn metadata(repo: &Repo) -> anyhow::Result<Value> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(repo.root());
    let metadata = ask(&mut cargo).context("`cargo metadata` fails")?;
    serde_json::from_str(&metadata).context("`cargo metadata` gives no JSON")
}

fn judge(metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        // Tests may look at anything.
        for dependency in dependencies.iter().filter(|dependency| dependency["kind"] != "dev") {
            let on = dependency["name"].as_str().unwrap_or_default();
            if let Some(why) = forbidden(name, on) {
                problems.push(format!("{name} depends on {on}: {why}"));
            }
            let features = dependency["features"].as_array().map(Vec::as_slice).unwrap_or_default();
            let dom = features.iter().filter_map(Value::as_str).filter(|feature| DOM.contains(feature));
            if name == "sw" && on == "web-sys" {
                problems.extend(dom.map(|feature| format!("sw uses web-sys's {feature}: a worker has no page")));
            }
        }
    }
    problems
}

/// Why `name` must not depend on `on`, if it must not.
fn forbidden(name: &str, on: &str) -> Option<&'static str> {
    let ours = ["bundler", "sw", "web", "vmhost", "xtask", "protocol", "vmm", "vmm-control", "guest-init"];
    let is_bundler = |name: &str| name == "bundler" || name.starts_with("bundler-");
    let is_ours = ours.contains(&on) || is_bundler(on);
    if on.starts_with("swc") && name != "bundler-transform" {
        return Some("only bundler-transform names swc");
    }
    match name {
        "protocol" if on != "serde" => Some("protocol knows nothing but serde"),
        _ if is_bundler(name) => match on {
            _ if BROWSER.contains(&on) => Some("the bundler knows no browser"),
            _ if MACHINE.contains(&on) => Some("the bundler knows no server"),
            _ if is_ours && !is_bundler(on) => Some("the bundler knows nobody of us"),
            _ => None,
        },
        "sw" if on == "leptos" || (is_ours && on != "protocol" && !is_bundler(on)) => Some("the worker knows no page"),
        "web" if is_ours && on != "protocol" => Some("to the pages, everything comes by message"),
        "vmm" | "vmm-control" | "guest-init" if MACHINE.contains(&on) => Some("the VMM and its guest know no HTTP"),
        "vmm-control" | "guest-init" if KVM.contains(&on) => Some("only the VMM itself knows KVM"),
        "vmm" if is_ours && on != "vmm-control" => Some("the VMM knows nobody but its control protocol"),
        "vmm-control" | "guest-init" if is_ours => Some("the VMM's protocol and its guest know nobody of us"),
        "vmhost" if KVM.contains(&on) => Some("the server's interface knows no KVM types"),
        "vmhost" if BROWSER.contains(&on) || (is_ours && on != "protocol" && !is_bundler(on)) => {
            Some("the server knows no browser")
        }
        "xtask" | "sandglass-glue" if is_ours => Some("automation only calls programs of ours"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        let allowed = [
            ("bundler", "bundler-npm"),
            ("bundler-transform", "swc_common"),
            ("protocol", "serde"),
            ("sw", "bundler"),
            ("sw", "protocol"),
            ("vmhost", "bundler"),
            ("vmhost", "tokio"),
            ("vmm", "kvm-ioctls"),
            ("vmm", "vmm-control"),
            ("web", "leptos"),
            ("xtask", "clap"),
        ];
        let ruled_out = [
            ("bundler", "protocol"),
            ("bundler", "swc_common"),
            ("bundler-npm", "tokio"),
            ("bundler-resolve", "web-sys"),
            ("protocol", "serde_json"),
            ("sw", "web"),
            ("vmhost", "kvm-ioctls"),
            ("vmhost", "sw"),
            ("vmm", "axum"),
            ("vmm", "protocol"),
            ("vmm-control", "kvm-ioctls"),
            ("web", "bundler"),
            ("xtask", "bundler"),
        ];
        for (name, on) in allowed {
            assert_eq!(forbidden(name, on), None, "{name} → {on}");
        }
        for (name, on) in ruled_out {
            assert!(forbidden(name, on).is_some(), "{name} → {on}");
        }
    }

    #[test]
    fn dependencies_of_tests_are_free() {
        let of = |kind: &str| {
            let dependency = serde_json::json!({ "name": "tokio", "kind": kind, "features": [] });
            judge(&serde_json::json!({ "packages": [{ "name": "bundler", "dependencies": [dependency] }] }))
        };
        assert_eq!(of("dev"), Vec::<String>::new());
        assert_eq!(of("build").len(), 1);
    }
}
