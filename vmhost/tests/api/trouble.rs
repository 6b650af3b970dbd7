//! Registries that hang, lie or lead astray, and clients that ask for what they must not have.

use expect_test::{Expect, expect};
use serde_json::json;

use crate::fixture::Fixture;
use crate::registry::Behaviour;

/// What a preview gets for `left` when the registry behaves so at `path`.
async fn check(path: &str, behaviour: Behaviour, ask: &str, expected: Expect) {
    let fixture = Fixture::with(|settings| {
        // Long enough for what does not hang, also on a busy machine.
        settings.read_timeout = Some("2s".to_owned());
        settings.max_packument = Some("100KB".to_owned());
        settings.max_tarball = Some("100KB".to_owned());
    })
    .await;
    fixture.registry.publish("left", "1.0.0", &[("index.js", "1")], json!({}));
    fixture.registry.behave(path, behaviour);
    fixture.check_npm(ask, expected).await;
}

const PACKUMENT: &str = "/left";
const TARBALL: &str = "/left/-/left-1.0.0.tgz";

#[tokio::test]
async fn a_package_that_does_not_exist() {
    check("/", Behaviour::Hang, "packument/nobody-has-it", expect![[r#"
        404
        cache-control: no-store
        content-type: application/json

        {"error":"nobody-has-it: the registry does not have it.","remedy":"Check the spelling; a private package needs its registry in .npmrc."}
    "#]]).await;
    check(
        "/",
        Behaviour::Hang,
        "tarball/left/7.0.0.tgz",
        expect![[r#"
        404
        cache-control: no-store
        content-type: application/json

        {"error":"left has no version 7.0.0.","remedy":"Choose a published version, or solve the ranges again."}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_registry_that_hangs() {
    check(PACKUMENT, Behaviour::Hang, "packument/left", expect![[r#"
        504
        cache-control: no-store
        content-type: application/json

        {"error":"left: the registry does not answer in time.","remedy":"Try again; --read-timeout and --request-timeout on the server say how long it waits."}
    "#]]).await;
    check(TARBALL, Behaviour::Hang, "tarball/left/1.0.0.tgz", expect![[r#"
        504
        cache-control: no-store
        content-type: application/json

        {"error":"left@1.0.0: the registry does not answer in time.","remedy":"Try again; --read-timeout and --request-timeout on the server say how long it waits."}
    "#]]).await;
}

#[tokio::test]
async fn a_registry_that_fails() {
    check(PACKUMENT, Behaviour::Status(500), "packument/left", expect![[r#"
        502
        cache-control: no-store
        content-type: application/json

        {"error":"left: the registry answers with status 500.","remedy":"Try again; if it stays so, check the registry in the server's npm configuration."}
    "#]]).await;
    check(PACKUMENT, Behaviour::Status(401), "packument/left", expect![[r#"
        502
        cache-control: no-store
        content-type: application/json

        {"error":"left: the registry refuses access (status 401).","remedy":"Give the server a token for this registry in its .npmrc."}
    "#]]).await;
}

#[tokio::test]
async fn a_page_that_is_no_packument() {
    check(PACKUMENT, Behaviour::Bytes(b"<html>log in</html>".to_vec()), "packument/left", expect![[r#"
        502
        cache-control: no-store
        content-type: application/json

        {"error":"left: the registry's answer is no packument (expected value at line 1 column 1).","remedy":"Check that the server's npm configuration names a registry."}
    "#]]).await;
}

#[tokio::test]
async fn an_answer_without_an_end() {
    check(PACKUMENT, Behaviour::Endless, "packument/left", expect![[r#"
        502
        cache-control: no-store
        content-type: application/json

        {"error":"left: the registry sends more than 100000 bytes.","remedy":"Use a smaller package, or raise --max-packument or --max-tarball on the server."}
    "#]]).await;
    check(TARBALL, Behaviour::Endless, "tarball/left/1.0.0.tgz", expect![[r#"
        502
        cache-control: no-store
        content-type: application/json

        {"error":"left@1.0.0: the registry sends more than 100000 bytes.","remedy":"Use a smaller package, or raise --max-packument or --max-tarball on the server."}
    "#]]).await;
}

#[tokio::test]
async fn a_damaged_tarball() {
    let fixture = Fixture::new().await;
    fixture.registry.publish("left", "1.0.0", &[("index.js", "1")], json!({}));
    fixture.registry.behave(TARBALL, Behaviour::Bytes(b"not it".to_vec()));
    for _ in 0..2 {
        let answer = fixture.npm("tarball/left/1.0.0.tgz").await;
        assert!(answer.status == 502 && answer.text().contains("damaged or forged"), "{}", answer.text());
    }
    fixture.registry.publish("left", "1.0.0", &[("index.js", "1")], json!({}));
    assert_eq!(fixture.npm("tarball/left/1.0.0.tgz").await.status, 200, "nothing bad was kept");
}

#[tokio::test]
async fn redirects_lead_to_public_addresses_only() {
    let to = |target: &str| Behaviour::Redirect(target.to_owned());
    check(TARBALL, to("http://192.168.0.1/x.tgz"), "tarball/left/1.0.0.tgz", expect![[r#"
        502
        cache-control: no-store
        content-type: application/json

        {"error":"left@1.0.0: the registry redirects away from itself without https.","remedy":"Configure the server with the registry that has the package itself."}
    "#]]).await;
    for target in ["https://10.0.0.1/x", "https://169.254.169.254/latest", "https://[::1]/x", "https://localhost/x"] {
        let fixture = Fixture::new().await;
        fixture.registry.publish("left", "1.0.0", &[("index.js", "1")], json!({}));
        fixture.registry.behave(TARBALL, to(target));
        let answer = fixture.npm("tarball/left/1.0.0.tgz").await;
        assert!(answer.status == 502 && answer.text().contains("redirects to a private address"), "{target}");
    }
    check(TARBALL, to(TARBALL), "tarball/left/1.0.0.tgz", expect![[r#"
        502
        cache-control: no-store
        content-type: application/json

        {"error":"left@1.0.0: the registry redirects in circles.","remedy":"Configure the server with the registry that has the package itself."}
    "#]]).await;
}

#[tokio::test]
async fn a_redirect_within_the_registry_is_followed() {
    let fixture = Fixture::new().await;
    fixture.registry.publish("left", "1.0.0", &[("index.js", "1")], json!({}));
    let tarball = fixture.registry.bytes(TARBALL);
    fixture.registry.behave("/files/l.tgz", Behaviour::Bytes(tarball.clone()));
    fixture.registry.behave(TARBALL, Behaviour::Redirect("/files/l.tgz".to_owned()));
    assert_eq!(fixture.npm("tarball/left/1.0.0.tgz").await.body, tarball);
}

#[tokio::test]
async fn a_packument_cannot_name_another_host_for_its_tarball() {
    let fixture = Fixture::new().await;
    fixture.registry.publish("left", "1.0.0", &[("index.js", "1")], json!({}));
    let packument = String::from_utf8(fixture.registry.bytes(PACKUMENT)).unwrap();
    let forged = packument.replace(&fixture.registry.address.to_string(), "169.254.169.254");
    fixture.registry.behave(PACKUMENT, Behaviour::Bytes(forged.into_bytes()));
    assert_eq!(fixture.npm("tarball/left/1.0.0.tgz").await.status, 200);
    assert_eq!(fixture.registry.hits(), [PACKUMENT, TARBALL]);
}

#[tokio::test]
async fn only_packages_are_asked_of_the_registry() {
    let fixture = Fixture::new().await;
    for path in [
        "packument/",
        "packument/..",
        "packument/%2e%2e%2fsecret",
        "packument/-/v1/search",
        "packument/left/../../x",
        "packument/left%3fx=1",
        "packument/left%23x",
        "packument/http:%2f%2fevil.example%2fx",
        "packument/@a/b/c",
        "packument/%00",
        "tarball/left",
        "tarball/left/1.0.0",
        "tarball/left/..%2f..%2fx.tgz",
        "tarball/left/latest.tgz",
        "tarball/../1.0.0.tgz",
        "prebuilt/..%2f..%2fx.js",
        "prebuilt/ABCDEF00ABCDEF00ABCDEF00ABCDEF00.js",
        "search?text=x",
    ] {
        let status = fixture.npm(path).await.status;
        assert!(status == 400 || status == 404, "{path}: {status}");
    }
    assert_eq!(fixture.registry.hits(), Vec::<String>::new());
}

#[tokio::test]
async fn bodies_are_checked_before_anything_else() {
    let fixture = Fixture::new().await;
    let post = async |headers: &str, body: &str| {
        fixture.preview(&format!("POST /__sandglass/npm/lock\n{headers}\n\n{body}")).await.shown()
    };
    let json = "content-type: application/json";
    fixture.check(
        &post("content-type: text/plain", "{}").await,
        expect![[r#"
        415
        cache-control: no-store
        content-type: application/json

        {"error":"The body must be JSON.","remedy":"Send it with `content-type: application/json`."}
    "#]],
    );
    fixture.check(
        &post(json, "{").await,
        expect![[r#"
        400
        cache-control: no-store
        content-type: application/json

        {"error":"The body can't be read: EOF while parsing an object at line 1 column 1.","remedy":"Correct the JSON."}
    "#]],
    );
    fixture.check(&post(json, r#"{"dependencies": {}, "registry": "http://evil.example"}"#).await, expect![[r#"
        400
        cache-control: no-store
        content-type: application/json

        {"error":"The body can't be read: unknown field `registry`, expected `dependencies` at line 1 column 31.","remedy":"Correct the JSON."}
    "#]]);
    let long = format!(r#"{{"dependencies": {{"a": "{}"}}}}"#, "1".repeat(300_000));
    fixture.check(
        &post(json, &long).await,
        expect![[r#"
        413
        cache-control: no-store
        content-type: application/json

        {"error":"The body has more than 262144 bytes.","remedy":"Send less at once."}
    "#]],
    );
    let many: Vec<String> = (0..1_001).map(|n| format!("\"p{n}\": \"1\"")).collect();
    fixture.check(
        &post(json, &format!(r#"{{"dependencies": {{{}}}}}"#, many.join(","))).await,
        expect![[r#"
        422
        cache-control: no-store
        content-type: application/json

        {"error":"There are more than 1000 dependencies.","remedy":"Depend on fewer packages."}
    "#]],
    );
    assert_eq!(fixture.registry.hits(), Vec::<String>::new());
}
