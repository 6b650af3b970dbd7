//! Requests of a preview's document.

use bundler::{Assets, Body};
use expect_test::{Expect, expect};

use crate::harness::mount;

const APP: &str = r#"
# /index.html
<script type="module" src="/src/main.ts"></script>
# /src/main.ts
export const one = 1, two = 2;
export default one;
throw new Error(String(two));
# /public/data.json
{"a": 1}
# /style.css
@import "./other.css";
# /other.css
a { color: red }
"#;

fn check(address: &str, expected: &Expect) {
    let mut driver = mount(APP, Assets::ByUrl);
    driver.build();
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let response = driver.project.respond(path, query);
    let body = match &response.body {
        Body::Text(text) => text.to_string(),
        Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    expected.assert_eq(&format!("{} {}\n{body}", response.status, response.content_type));
}

#[test]
fn addresses() {
    check(
        "/data.json",
        &expect![[r#"
        200 application/json; charset=utf-8
        {"a": 1}
    "#]],
    );
    check(
        "/style.css",
        &expect![[r#"
        200 text/css; charset=utf-8
        a { color: red }


    "#]],
    );
    check(
        "/src/main.ts",
        &expect![[r#"
        200 text/javascript; charset=utf-8
        const $sg = await __sg.run("/src/main.ts");
        export default $sg.default;
        export const one = $sg.one;
        export const two = $sg.two;
    "#]],
    );
    check(
        "/missing.png",
        &expect![[r#"
        404 text/plain; charset=utf-8
        /missing.png is not a file of this project.
    "#]],
    );
    check(
        "/__sandglass/chunk/0.js",
        &expect![[r#"
        404 text/plain; charset=utf-8
        /__sandglass/chunk/0.js is not a file of this project.
    "#]],
    );
}

#[test]
fn a_route_gets_the_document() {
    let mut driver = mount(APP, Assets::ByUrl);
    driver.build();
    assert_eq!(driver.project.respond("/a/route", ""), driver.project.respond("/", ""));
}

#[test]
fn stacks_lead_back_to_the_source() {
    let mut driver = mount(APP, Assets::ByUrl);
    driver.build();
    let pack = driver.project.pack();
    let (url, response) = pack.iter().find(|(path, _)| path.contains("/chunk/")).expect("the project's chunk");
    let Body::Text(text) = &response.body else { panic!("a chunk is text") };
    let (line, column) = text
        .lines()
        .enumerate()
        .find_map(|(index, line)| Some((index as u32 + 1, line.find("new Error")? as u32 + 1)))
        .expect("the error is in the chunk");
    let place = driver.project.locate(&format!("http://x.localhost:1{url}"), line, column).expect("it is ours");
    assert_eq!((place.file.as_str(), place.line, place.column), ("/src/main.ts", 3, 7));
    expect![[r#"
          1 | export const one = 1, two = 2;
          2 | export default one;
        > 3 | throw new Error(String(two));
            |       ^
          4 |
    "#]]
    .assert_eq(&driver.project.code_frame(&place).unwrap_or_default());
}
