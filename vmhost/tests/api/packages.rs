//! Packuments, tarballs, locks: what comes out, what is asked of the registry for it.

use expect_test::expect;
use futures_util::future::join_all;
use serde_json::json;

use crate::client;
use crate::fixture::{Fixture, Folder, Running};
use crate::registry::{Behaviour, Registry};

async fn with_packages() -> Fixture {
    let fixture = Fixture::new().await;
    publish(&fixture.registry);
    fixture
}

fn publish(registry: &Registry) {
    registry.publish("left", "1.0.0", &[("index.js", "module.exports = 1")], json!({}));
    registry.publish("left", "1.2.0", &[("index.js", "module.exports = 2")], json!({}));
    registry.publish("@scope/right", "2.0.0", &[("index.js", "module.exports = 3")], json!({"left": "^1.0.0"}));
}

#[tokio::test]
async fn a_packument_is_trimmed() {
    let fixture = with_packages().await;
    let answer = fixture.npm("packument/left").await;
    let essence = ["content-type", "cache-control", "vary", "content-encoding"].map(|name| answer.header(name));
    assert_eq!((answer.status, essence), (200, ["application/json", "max-age=60", "accept-encoding", ""]));
    let packument: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(packument["dist-tags"]["latest"], "1.2.0");
    assert!(packument["versions"]["1.0.0"]["dist"]["integrity"].as_str().unwrap().starts_with("sha512-"));
    assert!(packument.get("readme").is_none() && packument["versions"]["1.0.0"].get("scripts").is_none());
    assert!(!answer.text().contains("127.0.0.1"), "no address of a registry leaves the server");
}

#[tokio::test]
async fn a_packument_in_brotli_is_the_same() {
    let fixture = with_packages().await;
    let packed = fixture.preview("GET /__sandglass/npm/packument/left\naccept-encoding: br").await;
    assert_eq!(packed.header("content-encoding"), "br");
    assert_eq!(packed.text(), fixture.npm("packument/left").await.text());
    let etag = packed.header("etag");
    let again = format!("GET /__sandglass/npm/packument/left\naccept-encoding: br\nif-none-match: {etag}");
    assert_eq!(fixture.preview(&again).await.status, 304);
}

#[tokio::test]
async fn names_may_be_scoped_and_encoded() {
    let fixture = with_packages().await;
    for path in ["packument/@scope/right", "packument/@scope%2fright", "packument/%40scope%2Fright"] {
        assert_eq!(fixture.npm(path).await.status, 200, "{path}");
    }
    assert_eq!(fixture.registry.hits(), ["/@scope/right"], "one name, one fetch");
}

#[tokio::test]
async fn a_tarball_arrives_byte_for_byte() {
    let fixture = with_packages().await;
    let answer = fixture.preview("GET /__sandglass/npm/tarball/left/1.0.0.tgz\naccept-encoding: br").await;
    assert_eq!(answer.body, fixture.registry.bytes("/left/-/left-1.0.0.tgz"));
    assert_eq!(answer.header("content-type"), "application/gzip");
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    let etag = answer.header("etag");
    let again = format!("GET /__sandglass/npm/tarball/left/1.0.0.tgz\nif-none-match: {etag}");
    assert_eq!(fixture.preview(&again).await.status, 304);
    let scoped = fixture.npm("tarball/@scope/right/2.0.0.tgz").await;
    assert_eq!(scoped.body, fixture.registry.bytes("/@scope/right/-/right-2.0.0.tgz"));
}

#[tokio::test]
async fn what_was_fetched_is_not_fetched_again() {
    let fixture = with_packages().await;
    for _ in 0..2 {
        assert_eq!(fixture.npm("tarball/left/1.0.0.tgz").await.status, 200);
        assert_eq!(fixture.npm("packument/left").await.status, 200);
    }
    assert_eq!(fixture.registry.hits(), ["/left", "/left/-/left-1.0.0.tgz"]);
}

#[tokio::test]
async fn many_who_want_the_same_share_one_fetch() {
    let fixture = with_packages().await;
    for path in ["/left", "/left/-/left-1.0.0.tgz"] {
        fixture.registry.behave(path, Behaviour::Gated(fixture.registry.bytes(path)));
    }
    let asking = join_all((0..8).map(|_| fixture.npm("tarball/left/1.0.0.tgz")));
    let opening = async {
        fixture.registry.next_hit().await;
        // Whoever of the eight isn't there yet has the time of these requests to come.
        for _ in 0..16 {
            fixture.app("GET /").await;
        }
        fixture.registry.open();
    };
    let (answers, ()) = tokio::join!(asking, opening);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(fixture.registry.hits(), ["/left", "/left/-/left-1.0.0.tgz"]);
}

#[tokio::test]
async fn the_cache_works_without_the_registry() {
    let fixture = Fixture::with(|settings| settings.fresh = Some("0s".to_owned())).await;
    publish(&fixture.registry);
    let ask = ["packument/left", "tarball/left/1.0.0.tgz"];
    let before = join_all(ask.map(|path| fixture.npm(path))).await;
    let lock = fixture.post("lock", r#"{"dependencies": {"left": "^1.0.0"}}"#).await;
    fixture.registry.stop();
    // A new process has the same cache and nothing in memory.
    let server =
        Running::start(&fixture.folder.0, &fixture.registry, |settings| settings.fresh = Some("0s".to_owned())).await;
    let fixture = Fixture { server, ..fixture };
    for (path, before) in ask.iter().zip(before) {
        let after = fixture.npm(path).await;
        assert_eq!((after.status, after.body), (200, before.body), "{path}");
    }
    assert_eq!(fixture.post("lock", r#"{"dependencies": {"left": "^1.0.0"}}"#).await.body, lock.body);
    let other = fixture.npm("packument/other").await;
    assert_eq!(other.status, 502, "{}", other.text());
    assert!(!other.text().contains("127.0.0.1"), "{}", other.text());
}

#[tokio::test]
async fn an_old_packument_is_asked_about_again() {
    let fixture = Fixture::with(|settings| settings.fresh = Some("0s".to_owned())).await;
    publish(&fixture.registry);
    fixture.npm("packument/left").await;
    fixture.registry.publish("left", "1.3.0", &[], json!({}));
    let text = fixture.npm("packument/left").await.text();
    assert!(text.contains("1.3.0"), "{text}");
}

#[tokio::test]
async fn what_was_not_used_longest_leaves_a_full_cache() {
    let fixture = Fixture::with(|settings| settings.cache_size = Some("100KB".to_owned())).await;
    // Hex of hashes: it hardly shrinks to less than half.
    let noise = |seed: u8| {
        (0..1_000u32)
            .map(|n| format!("{:x?}", sha2::Sha512::digest([&n.to_le_bytes()[..], &[seed]].concat())))
            .collect::<String>()
    };
    use sha2::Digest as _;
    for (at, name) in ["a", "b", "c"].iter().enumerate() {
        let text = &noise(u8::try_from(at).unwrap())[..90_000];
        let tarball = fixture.registry.publish(name, "1.0.0", &[("index.js", text)], json!({}));
        assert!((34_000..90_000).contains(&tarball.len()), "{}", tarball.len());
        assert_eq!(fixture.npm(&format!("tarball/{name}/1.0.0.tgz")).await.status, 200);
    }
    let size: u64 = files(&fixture.folder.0.join("cache"));
    assert!(size <= 100_000, "{size}");
    fixture.npm("tarball/c/1.0.0.tgz").await;
    fixture.npm("tarball/a/1.0.0.tgz").await;
    let fetched = |name: &str| {
        fixture.registry.hits().iter().filter(|hit| **hit == format!("/{name}/-/{name}-1.0.0.tgz")).count()
    };
    assert_eq!([fetched("a"), fetched("c")], [2, 1], "the oldest was dropped and is fetched again");
}

fn files(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

#[tokio::test]
async fn a_lock_names_no_host_and_is_the_same_each_time() {
    let fixture = with_packages().await;
    let body = r#"{"dependencies": {"@scope/right": "^2.0.0"}}"#;
    let answer = fixture.post("lock", body).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{}", answer.text());
    let lock: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(lock["packages"]["node_modules/left"]["version"], "1.2.0");
    assert!(!answer.text().contains("127.0.0.1"));
    assert_eq!(fixture.post("lock", body).await.body, answer.body);
}

#[tokio::test]
async fn a_lock_that_cannot_be() {
    let fixture = with_packages().await;
    let ask = async |dependencies: &str| {
        fixture.post("lock", &format!(r#"{{"dependencies": {dependencies}}}"#)).await.shown()
    };
    fixture.check(&ask(r#"{"left": "^9.0.0"}"#).await, expect![[r#"
        422
        cache-control: no-store
        content-type: application/json

        {"error":"No version of left is in the range \"^9.0.0\"; the latest is 1.2.0.","remedy":"Write \"left\": \"^1.2.0\"."}
    "#]]);
    fixture.check(
        &ask(r#"{"nobody-has-it": "1"}"#).await,
        expect![[r#"
        422
        cache-control: no-store
        content-type: application/json

        {"error":"There is no package nobody-has-it in the registry.","remedy":"Check how it is spelled."}
    "#]],
    );
    fixture.check(&ask(r#"{"../left": "1"}"#).await, expect![[r#"
        422
        cache-control: no-store
        content-type: application/json

        {"error":"../left: \"../left\" is not a package name.","remedy":"Write it as in the registry: `name` or `@scope/name`."}
    "#]]);
}

#[tokio::test]
async fn a_scope_has_its_registry_and_its_token_stays_here() {
    let (folder, registry, private) = (Folder::new(), Registry::start().await, Registry::start().await);
    let host = private.address;
    folder.write(".npmrc", format!("@corp:registry=http://{host}/\n//{host}/:_authToken=s3cret\n"));
    private.publish("@corp/tool", "1.0.0", &[("index.js", "1")], json!({}));
    for path in ["/@corp/tool", "/@corp/tool/-/tool-1.0.0.tgz"] {
        private.behave(path, Behaviour::Private("s3cret", private.bytes(path)));
    }
    publish(&registry);
    let server = Running::start(&folder.0, &registry, |_| {}).await;
    let fixture = Fixture { folder, registry, server };
    let answers = [fixture.npm("packument/@corp/tool").await, fixture.npm("tarball/@corp/tool/1.0.0.tgz").await];
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!format!("{answer:?}").contains("s3cret"));
    }
    fixture.npm("packument/left").await;
    assert_eq!(private.hits(), ["/@corp/tool with s3cret", "/@corp/tool/-/tool-1.0.0.tgz with s3cret"]);
    assert_eq!(fixture.registry.hits(), ["/left"], "no token goes to another registry");
}

#[tokio::test]
async fn other_origins_get_no_packages() {
    let fixture = with_packages().await;
    let ask =
        async |headers: &str| fixture.preview(&format!("GET /__sandglass/npm/packument/left\n{headers}")).await.status;
    for own in [
        "sec-fetch-site: same-origin",
        "sec-fetch-site: none",
        "origin: http://box.sandglass.localhost:1",
        "accept: */*",
    ] {
        assert_eq!(ask(own).await, 200, "{own}");
    }
    for foreign in [
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
        "origin: http://other.sandglass.localhost",
        "origin: http://sandglass.localhost",
        "origin: https://evil.example",
        "origin: null",
    ] {
        assert_eq!(ask(foreign).await, 403, "{foreign}");
    }
    let answer = client::send(fixture.server.preview, "GET /__sandglass/npm/packument/left\nhost: 127.0.0.1").await;
    assert_eq!(answer.status, 404, "the app's names have no package API");
}
