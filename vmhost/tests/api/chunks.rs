//! Prebuilt chunks: built once, by lock and entries, kept under their key.

use expect_test::expect;
use futures_util::future::join_all;
use serde_json::json;

use crate::client::Answer;
use crate::fixture::Fixture;
use crate::registry::Behaviour;

const LEFT: &str = "/left/-/left-1.0.0.tgz";

async fn with_left() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.registry.publish("left", "1.0.0", &[("index.js", "exports.pad = text => ' ' + text;\n")], json!({}));
    fixture
}

/// A lock from the server itself, and the key of entries under it.
async fn lock_and_key(fixture: &Fixture, entries: &[&str]) -> (String, String) {
    let lock = fixture.post("lock", r#"{"dependencies": {"left": "^1.0.0"}}"#).await.text();
    let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
    let key = bundler::prebuild_key(&lock, &entries).unwrap();
    (lock, key)
}

async fn build(fixture: &Fixture, key: &str, lock: &str, entries: &[&str]) -> Answer {
    fixture.post(&format!("prebuilt/{key}.js"), &json!({"lock": lock, "entries": entries}).to_string()).await
}

#[tokio::test]
async fn a_chunk_is_built_once_and_found_after_that() {
    let fixture = with_left().await;
    let (lock, key) = lock_and_key(&fixture, &["left"]).await;
    assert_eq!(fixture.npm(&format!("prebuilt/{key}.js")).await.status, 404);
    let built = build(&fixture, &key, &lock, &["left"]).await;
    assert_eq!(built.status, 200, "{}", built.text());
    let found = fixture.npm(&format!("prebuilt/{key}.js")).await;
    assert_eq!(found.text(), built.text());
    let registration = found.text().split_once('\n').unwrap().1.to_owned();
    fixture.check(
        &registration,
        expect![[r#"
        __sg.d("/node_modules/left/index.js",0,[],{},function(exports,module,require){exports.pad = text => ' ' + text;

        });
    "#]],
    );
    let essence = ["content-type", "cache-control", "vary", "etag"].map(|name| found.header(name).replace(&key, "KEY"));
    expect![[r#"
        text/javascript; charset=utf-8
        public, max-age=31536000, immutable
        accept-encoding
        "KEY-id""#]]
    .assert_eq(&essence.join("\n"));
    let packed = fixture.preview(&format!("GET /__sandglass/npm/prebuilt/{key}.js\naccept-encoding: br")).await;
    assert_eq!((packed.header("content-encoding"), packed.text()), ("br", built.text()));
    build(&fixture, &key, &lock, &["left"]).await;
    assert_eq!(fixture.registry.hits().iter().filter(|hit| *hit == LEFT).count(), 1);
}

#[tokio::test]
async fn the_server_builds_what_a_worker_would() {
    let fixture = with_left().await;
    let (lock, key) = lock_and_key(&fixture, &["left"]).await;
    let tarball = fixture.registry.bytes(LEFT);
    let here = bundler::prebuild(&lock, &["left".to_owned()], &mut |_, _, _| Ok(tarball.clone())).unwrap();
    assert_eq!(build(&fixture, &key, &lock, &["left"]).await.text(), here);
}

#[tokio::test]
async fn many_who_want_one_chunk_share_the_build() {
    let fixture = with_left().await;
    let (lock, key) = lock_and_key(&fixture, &["left"]).await;
    fixture.registry.next_hit().await;
    fixture.registry.behave(LEFT, Behaviour::Gated(fixture.registry.bytes(LEFT)));
    let asking = join_all((0..8).map(|_| build(&fixture, &key, &lock, &["left"])));
    let opening = async {
        fixture.registry.next_hit().await;
        fixture.registry.open();
    };
    let (answers, ()) = tokio::join!(asking, opening);
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
    assert_eq!(fixture.registry.hits().iter().filter(|hit| *hit == LEFT).count(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_lock_and_entries() {
    let fixture = with_left().await;
    let (lock, key) = lock_and_key(&fixture, &["left"]).await;
    for (lock, entries, says) in [
        (lock.as_str(), vec!["left", "left/other.js"], "have the key"),
        (lock.replace("1.0.0", "1.0.1").as_str(), vec!["left"], "have the key"),
        ("{", vec!["left"], "The lock can't be read"),
        (lock.as_str(), vec![], "`entries` must be"),
        (lock.as_str(), vec!["left", &"x".repeat(2_000)], "`entries` must be"),
    ] {
        let answer = build(&fixture, &key, lock, &entries).await;
        assert!(answer.status == 400 && answer.text().contains(says), "{} {}", answer.status, answer.text());
    }
    assert_eq!(fixture.npm(&format!("prebuilt/{key}.js")).await.status, 404);
    assert_eq!(fixture.registry.hits(), ["/left"]);
}

#[tokio::test]
async fn a_chunk_without_its_package_says_so_and_is_not_kept() {
    let fixture = with_left().await;
    let (lock, key) = lock_and_key(&fixture, &["left"]).await;
    let tarball = fixture.registry.bytes(LEFT);
    fixture.registry.behave(LEFT, Behaviour::Status(503));
    let broken = build(&fixture, &key, &lock, &["left"]).await;
    assert_eq!((broken.status, broken.header("cache-control")), (200, "no-store"));
    let header = broken.text().lines().next().unwrap().to_owned();
    assert!(header.contains("left@1.0.0 can't be fetched: the registry answers with status 503"), "{header}");
    assert_eq!(fixture.npm(&format!("prebuilt/{key}.js")).await.status, 404);
    fixture.registry.behave(LEFT, Behaviour::Bytes(tarball));
    let whole = build(&fixture, &key, &lock, &["left"]).await;
    assert!(whole.text().contains("exports.pad"), "{}", whole.text());
}

#[tokio::test]
async fn a_chunk_in_the_site_folder_needs_no_build() {
    let fixture = Fixture::new().await;
    let key = "00112233445566778899aabbccddeeff";
    fixture.folder.write(&format!("site/preview/__sandglass/npm/prebuilt/{key}.js"), "//{}\n");
    let answer = fixture.npm(&format!("prebuilt/{key}.js")).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "//{}\n"));
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
}
