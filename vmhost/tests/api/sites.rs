//! Static files of both sites: names, headers, validators, paths.

use expect_test::{Expect, expect};

use crate::fixture::Fixture;

async fn check_app(request: &str, expected: Expect) {
    let fixture = Fixture::new().await;
    fixture.check(&fixture.app(request).await.shown(), expected);
}

async fn check_preview(request: &str, expected: Expect) {
    let fixture = Fixture::new().await;
    fixture.check(&fixture.preview(request).await.shown(), expected);
}

#[tokio::test]
async fn the_host_decides_which_site_it_is() {
    let fixture = Fixture::new().await;
    for host in ["sandglass.localhost", "127.0.0.1:1", "localhost", "[::1]:80"] {
        let answer = fixture.preview(&format!("GET /\nhost: {host}")).await;
        assert!(answer.text().starts_with("<!doctype html>app"), "{host}");
    }
    for host in
        ["evil.example", "a.b.sandglass.localhost", "sandglass.localhost.evil.example", "", "a_b.sandglass.localhost"]
    {
        let answer = fixture.app(&format!("GET /\nhost: {host}")).await;
        assert_eq!(answer.status, 421, "{host}");
    }
    let answer = fixture.app("GET /\nhost: sandglass.localhost\nhost: box.sandglass.localhost").await;
    assert_eq!(answer.status, 421, "two names");
    let answer = fixture.app("GET /__sandglass/boot.html\nhost: box.sandglass.localhost").await;
    assert_eq!(answer.text(), "<!doctype html>boot");
    let answer = fixture.app("GET /__sandglass/npm/packument/left").await;
    assert_eq!(answer.status, 404, "the app has no package API");
}

#[tokio::test]
async fn an_unknown_host_is_told_so() {
    check_app("GET /\nhost: evil.example", expect![[r#"
        421
        cache-control: no-store
        content-type: application/json

        {"error":"This server has no site of that name.","remedy":"Check the address; the operator sets names with --app-origin and --preview-origin, and a proxy in front must pass the Host header on."}
    "#]]).await;
}

#[tokio::test]
async fn pages_know_both_origins() {
    check_app(
        "GET /",
        expect![[r#"
        200
        cache-control: no-cache
        content-type: text/html; charset=utf-8
        etag: (hash)
        vary: accept-encoding

        <!doctype html>app http://sandglass.localhost:APP
    "#]],
    )
    .await;
    check_app(
        "GET /sandglass-playground.js\naccept-encoding: gzip, br",
        expect![[r#"
        200
        cache-control: no-cache
        content-encoding: br
        content-type: text/javascript; charset=utf-8
        etag: (hash)
        vary: accept-encoding

        const preview = "http://{id}.sandglass.localhost:PREVIEW";
    "#]],
    )
    .await;
}

#[tokio::test]
async fn hashed_assets_never_change() {
    check_app(
        "GET /assets/editor-4F2A9C01.js",
        expect![[r#"
        200
        cache-control: public, max-age=31536000, immutable
        content-type: text/javascript; charset=utf-8
        etag: (hash)

        editor();
    "#]],
    )
    .await;
    check_preview(
        "GET /__sandglass/assets/sw-0123456789abcdef.wasm",
        expect![[r#"
        200
        cache-control: public, max-age=31536000, immutable
        content-type: application/wasm
        etag: (hash)

        wasm
    "#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_there() {
    check_app("GET /nothing", expect![[r#"
        404
        cache-control: no-store
        content-type: text/html; charset=utf-8

        <!doctype html><meta charset=utf-8><title>Not found</title><p>There is no such page. <a href="/">The front page</a> lists what there is.</p>
    "#]]).await;
    check_preview("GET /src/main.tsx", expect![[r#"
        404
        cache-control: no-store
        content-type: text/html; charset=utf-8

        <!doctype html><meta charset=utf-8><title>Preview</title><p>Nothing runs here yet: a preview is opened by a playground on its own page.</p>
    "#]]).await;
}

#[tokio::test]
async fn other_methods_are_refused() {
    check_app(
        "POST /\ncontent-type: text/plain\n\nx",
        expect![[r#"
        405
        allow: GET,HEAD
        cache-control: no-store
        content-type: application/json

        {"error":"This address does not take that method.","remedy":"Use GET or HEAD."}
    "#]],
    )
    .await;
    check_preview(
        "DELETE /__sandglass/npm/packument/left",
        expect![[r#"
        405
        allow: GET,HEAD
        cache-control: no-store
        content-type: application/json

        {"error":"This address does not take that method.","remedy":"Use what the Allow header lists."}
    "#]],
    )
    .await;
    check_preview(
        "OPTIONS /__sandglass/npm/lock",
        expect![[r#"
        405
        allow: POST
        cache-control: no-store
        content-type: application/json

        {"error":"This address does not take that method.","remedy":"Use what the Allow header lists."}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn security_headers() {
    let fixture = Fixture::new().await;
    let check = async |preview: bool, path: &str, expected: Expect| {
        let request = format!("GET {path}");
        let answer = if preview { fixture.preview(&request).await } else { fixture.app(&request).await };
        fixture.check(&answer.security(), expected);
    };
    check(false, "/", expect![[r#"
        200
        content-security-policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; frame-src http://*.sandglass.localhost:PREVIEW; form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'
        cross-origin-opener-policy: same-origin-allow-popups
        origin-agent-cluster: ?1
        referrer-policy: strict-origin-when-cross-origin
        x-content-type-options: nosniff
    "#]]).await;
    check(
        false,
        "/templates/react-ts.json",
        expect![[r#"
        200
        access-control-allow-origin: *
        cross-origin-resource-policy: cross-origin
        referrer-policy: strict-origin-when-cross-origin
        x-content-type-options: nosniff
    "#]],
    )
    .await;
    check(true, "/__sandglass/boot.html", expect![[r#"
        200
        content-security-policy: default-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' data: blob: http: https: ws: wss:; object-src 'none'; frame-ancestors *
        origin-agent-cluster: ?1
        permissions-policy: camera=(), microphone=(), geolocation=(), payment=(), usb=()
        referrer-policy: strict-origin-when-cross-origin
        x-content-type-options: nosniff
    "#]]).await;
    check(
        true,
        "/sandglass-sw.js",
        expect![[r#"
        200
        cross-origin-resource-policy: same-origin
        permissions-policy: camera=(), microphone=(), geolocation=(), payment=(), usb=()
        referrer-policy: strict-origin-when-cross-origin
        service-worker-allowed: /
        x-content-type-options: nosniff
    "#]],
    )
    .await;
    check(
        true,
        "/__sandglass/npm/packument/..",
        expect![[r#"
        400
        cross-origin-resource-policy: same-origin
        permissions-policy: camera=(), microphone=(), geolocation=(), payment=(), usb=()
        referrer-policy: strict-origin-when-cross-origin
        x-content-type-options: nosniff
    "#]],
    )
    .await;
}

#[tokio::test]
async fn operators_choose_who_may_frame() {
    let fixture = Fixture::with(|settings| {
        settings.app_ancestors = Some("'none'".to_owned());
        settings.preview_ancestors = Some("https://docs.example.net".to_owned());
        settings.trusted_types = Some(true);
    })
    .await;
    let policy = async |answer: crate::client::Answer| answer.header("content-security-policy").to_owned();
    let app = policy(fixture.app("GET /").await).await;
    assert!(app.ends_with("frame-ancestors 'none'; require-trusted-types-for 'script'"), "{app}");
    let preview = policy(fixture.preview("GET /__sandglass/boot.html").await).await;
    assert!(preview.ends_with("frame-ancestors https://docs.example.net"), "{preview}");
}

#[tokio::test]
async fn a_known_etag_needs_no_body() {
    let fixture = Fixture::new().await;
    let etag = fixture.app("GET /").await.header("etag").to_owned();
    for (value, status) in [
        (etag.clone(), 304),
        (format!("W/{etag}"), 304),
        (format!("\"other\", {etag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let answer = fixture.app(&format!("GET /\nif-none-match: {value}")).await;
        assert_eq!((answer.status, answer.body.is_empty()), (status, status == 304), "{value}");
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let fixture = Fixture::new().await;
    let (get, head) = (fixture.app("GET /").await, fixture.app("HEAD /").await);
    assert!(head.body.is_empty() && !get.body.is_empty());
    let essence = |answer: &crate::client::Answer| {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
        headers
    };
    assert_eq!(essence(&get), essence(&head));
}

#[tokio::test]
async fn a_packed_file_is_sent_to_whoever_takes_it() {
    let fixture = Fixture::new().await;
    let script = "console.log('a script that is long enough');".repeat(20);
    let mut packed = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut packed, 4096, 9, 22);
    std::io::Write::write_all(&mut writer, script.as_bytes()).unwrap();
    drop(writer);
    fixture.folder.write("site/app/assets/big-00112233.js", &script);
    fixture.folder.write("site/app/assets/big-00112233.js.br", &packed);
    let ask = async |encodings: &str| {
        let answer = fixture.app(&format!("GET /assets/big-00112233.js\naccept-encoding: {encodings}")).await;
        assert_eq!((answer.text(), answer.header("vary")), (script.clone(), "accept-encoding"));
        (answer.header("content-encoding").to_owned(), answer.body.len(), answer.header("etag").to_owned())
    };
    let (brotli, plain) = (ask("gzip, br").await, ask("gzip").await);
    assert_eq!((brotli.0.as_str(), brotli.1), ("br", packed.len()));
    assert_eq!((plain.0.as_str(), plain.1), ("", script.len()));
    assert_ne!(brotli.2, plain.2, "each form has its own validator");
    assert_eq!(ask("br;q=0").await.0, "");
}

#[tokio::test]
async fn a_rebuilt_file_is_seen_at_once() {
    let fixture = Fixture::new().await;
    fixture.folder.write("site/app/templates/new.json", "1");
    assert_eq!(fixture.app("GET /templates/new.json").await.text(), "1");
    fixture.folder.write("site/app/templates/new.json", "22");
    assert_eq!(fixture.app("GET /templates/new.json").await.text(), "22");
    std::fs::remove_file(fixture.folder.0.join("site/app/templates/new.json")).unwrap();
    assert_eq!(fixture.app("GET /templates/new.json").await.status, 404);
}

#[tokio::test]
async fn no_path_leads_out_of_the_site() {
    let fixture = Fixture::new().await;
    fixture.folder.write("site/app/.hidden", "secret");
    #[cfg(unix)]
    std::os::unix::fs::symlink(fixture.folder.0.join("secret.txt"), fixture.folder.0.join("site/app/link.txt"))
        .unwrap();
    for path in [
        "/../secret.txt",
        "/../../secret.txt",
        "/assets/../../../secret.txt",
        "/%2e%2e/%2e%2e/secret.txt",
        "/..%2f..%2fsecret.txt",
        "/..%5c..%5csecret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//etc/passwd",
        "/%00",
        "/link.txt",
        "/.hidden",
        "/assets",
    ] {
        for answer in [fixture.app(&format!("GET {path}")).await, fixture.preview(&format!("GET {path}")).await] {
            assert_eq!(answer.status, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn only_our_script_may_become_a_service_worker() {
    let fixture = Fixture::new().await;
    let ask = async |path: &str| fixture.preview(&format!("GET {path}\nservice-worker: script")).await.status;
    assert_eq!(ask("/sandglass-sw.js").await, 200);
    assert_eq!(ask("/__sandglass/npm/prebuilt/00112233445566778899aabbccddeeff.js").await, 403);
}
