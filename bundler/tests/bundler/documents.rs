//! The document with our scripts in it.

use bundler::Assets;
use expect_test::{Expect, expect};

use crate::harness::mount;

fn check(fixture: &str, assets: Assets, expected: &Expect) {
    let mut driver = mount(fixture, assets);
    let outcome = driver.build();
    assert!(outcome.diagnostics.is_empty(), "{:?}", outcome.diagnostics);
    // White space at the end of lines doesn't survive in a snapshot.
    let document = driver.project.document().expect("a good build has a document");
    let lines: Vec<&str> = document.split('\n').map(str::trim_end).collect();
    expected.assert_eq(&lines.join("\n"));
}

const PAGE: &str = r#"
# /index.html
<!doctype html>
<html lang="en">
  <head>
    <title>A page</title>
    <link rel="stylesheet" href="./style.css">
  </head>
  <body>
    <img src="logo.svg" alt="">
    <script type="module">
      import { a } from "./a.js";
      document.title = a;
    </script>
    <script src="/classic.js"></script>
  </body>
</html>
# /a.js
export const a = "</script>";
# /classic.js
window.classic = true;
# /style.css
body { background: url("./logo.svg") }
# /public/logo.svg
<svg xmlns="http://www.w3.org/2000/svg"/>
"#;

#[test]
fn answered_by_a_worker() {
    check(
        PAGE,
        Assets::ByUrl,
        &expect![[r#"
            <!doctype html>
            <html lang="en">
              <head><script src="/runtime.js"></script><script>__sg.revision=5</script><script defer src="/__sandglass/chunk/78cedf2bd1194339455fad31df2340da.js"></script>
                <title>A page</title>
                <link rel="stylesheet" href="./style.css">
              </head>
              <body>
                <img src="logo.svg" alt="">
    
                <script src="/classic.js"></script>
              </body>
            </html>
        "#]],
    );
}

#[test]
fn on_its_own() {
    check(
        PAGE,
        Assets::Inline,
        &expect![[r#"
            <!doctype html>
            <html lang="en">
              <head><script src="/runtime.js"></script><script>__sg.revision=5</script>
                <title>A page</title>
                <style data-sandglass-href="/style.css">body { background: url("data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4K") }
            </style>
              </head>
              <body>
                <img src="data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4K" alt="">

                <script>window.classic = true;
            </script>
              </body>
            </html>
            <script>__sg.d("/index.html.script-0.js",1,["/a.js"],{},function*($m,$0){"use strict";yield;








                  ;
                  document.title = $0.a;

            });
            __sg.d("/a.js",1,[],{},function*($m){"use strict";$m.x({a:()=>a});yield;       const a = "<\/script>";

            });
            __sg.run("/index.html.script-0.js");

            //# sourceURL=/__sandglass/chunk/78cedf2bd1194339455fad31df2340da.js
            </script>"#]],
    );
}

#[test]
fn made_for_a_module() {
    check(
        "# /src/main.tsx\ndocument.body.append(\"x\");\n",
        Assets::ByUrl,
        &expect![[r#"
        <!doctype html>
        <html><head><script src="/runtime.js"></script><script>__sg.revision=1</script><script defer src="/__sandglass/chunk/30e3db307422bb07bfee4012bde7ca25.js"></script><meta charset="utf-8"></head><body><div id="root"></div><div id="app"></div></body></html>
    "#]],
    );
}
