use expect_test::{Expect, expect};

use crate::universe::{drive, layout, superfluous, universe, violations, wanted};

/// The layout, or every error with its remedy.
pub fn check(registry: &str, dependencies: &str, expected: Expect) {
    check_from(registry, "", dependencies, expected);
}

/// The same with the lock of `before` at hand.
fn check_from(registry: &str, before: &str, dependencies: &str, expected: Expect) {
    let registry = universe(registry);
    let lock = (!before.is_empty()).then(|| drive(&registry, &wanted(before), None).result.expect("a lock"));
    let wanted = wanted(dependencies);
    let text = match drive(&registry, &wanted, lock.as_ref()).result {
        Ok(lock) => {
            assert!(lock.satisfies(&wanted));
            if !dependencies.contains(":next") {
                assert_eq!(violations(&lock, &wanted), [""; 0]);
            }
            assert_eq!(superfluous(&lock, &wanted), [""; 0]);
            layout(&lock)
        }
        Err(errors) => {
            let error = |error: &bundler_npm::SolveError| {
                format!("{}: {}\n    {}\n", error.package, error.message(), error.remedy())
            };
            errors.iter().map(error).collect()
        }
    };
    expected.assert_eq(&text);
}

#[test]
fn the_highest_version_at_the_top() {
    check(
        "
        react@19.0.0
        react@19.1.0
        react@19.2.0-rc.1
        react-dom@19.1.0 peer:react:^19.1.0 scheduler:^0.26.0
        scheduler@0.26.0
        scheduler@0.27.0
        ",
        "react:^19.0.0 react-dom:^19.0.0",
        expect![[r#"
            react 19.1.0
            react-dom 19.1.0
            scheduler 0.26.0
        "#]],
    );
}

#[test]
fn two_versions_lie_in_two_folders() {
    check(
        "
        a@1.0.0 x:^1.0.0
        b@1.0.0 x:^2.0.0
        c@1.0.0 x:^2.0.0
        x@1.5.0 y:1
        x@2.5.0 y:2
        y@1.0.0
        y@2.0.0
        ",
        "a:1 b:1 c:1",
        expect![[r#"
            a 1.0.0
            b 1.0.0
            b > x 2.5.0
            b > y 2.0.0
            c 1.0.0
            c > x 2.5.0
            c > y 2.0.0
            x 1.5.0
            y 1.0.0
        "#]],
    );
}

#[test]
fn a_nested_package_gives_way_to_what_its_folder_needs() {
    check(
        "
        a@1.0.0 x:1 b:1
        b@2.0.0 x:2
        b@1.0.0 x:1
        jwt@1.0.0 b:2 x:3
        x@1.0.0
        x@2.0.0
        x@3.0.0
        ",
        "a:1 jwt:1 x:2 b:1",
        expect![[r#"
            a 1.0.0
            a > x 1.0.0
            b 1.0.0
            b > x 1.0.0
            jwt 1.0.0
            jwt > b 2.0.0
            jwt > b > x 2.0.0
            jwt > x 3.0.0
            x 2.0.0
        "#]],
    );
}

#[test]
fn what_is_there_and_fits_is_taken() {
    check(
        "
        a@1.0.0 x:~1.2.0
        b@1.0.0 x:^1.0.0
        x@1.2.0
        x@1.9.0
        ",
        "a:1 b:1",
        expect![[r#"
            a 1.0.0
            b 1.0.0
            x 1.2.0
        "#]],
    );
}

#[test]
fn latest_is_preferred_where_it_fits() {
    check(
        "a@1.0.0\na@1.1.0 #latest\na@1.2.0",
        "a:^1.0.0",
        expect![[r#"
        a 1.1.0
    "#]],
    );
    check(
        "a@1.0.0\na@1.1.0 #latest\na@1.2.0",
        "a:~1.2.0",
        expect![[r#"
        a 1.2.0
    "#]],
    );
    check(
        "a@1.0.0\na@2.0.0-beta.1 #next",
        "a:next",
        expect![[r#"
        a 2.0.0-beta.1
    "#]],
    );
    check(
        "a@1.0.0-beta.1\na@1.0.0-beta.2 #latest",
        "a:*",
        expect![[r#"
        a 1.0.0-beta.2
    "#]],
    );
    check(
        "a@1.0.0-beta.1\na@1.0.0-beta.2",
        "a:*",
        expect![[r#"
        a 1.0.0-beta.2
    "#]],
    );
    check(
        "a@0.9.0\na@1.0.0-beta.2",
        "a:x",
        expect![[r#"
        a 0.9.0
    "#]],
    );
    check(
        "a@1.0.0-beta.1\na@1.0.0-beta.2\na@1.0.1-beta.1",
        "a:^1.0.0-beta.1",
        expect![[r#"
        a 1.0.0-beta.2
    "#]],
    );
}

#[test]
fn deprecated_versions_come_last() {
    check(
        "a@1.0.0\na@1.1.0 !deprecated",
        "a:^1.0.0",
        expect![[r#"
        a 1.0.0
    "#]],
    );
    check(
        "a@1.0.0\na@1.1.0 !deprecated",
        "a:^1.1.0",
        expect![[r#"
        a 1.1.0
    "#]],
    );
}

#[test]
fn aliases() {
    check(
        "
        react@17.0.2 x:1
        react@19.0.0
        a@1.0.0 react:npm:old-react@17.0.2
        old-react@17.0.2
        @scope/b@1.0.0
        x@1.0.0
        ",
        "react:^19 react-17:npm:react@^17 a:1 c:npm:@scope/b",
        expect![[r#"
            a 1.0.0
            a > react = old-react 17.0.2
            c = @scope/b 1.0.0
            react 19.0.0
            react-17 = react 17.0.2
            x 1.0.0
        "#]],
    );
}

#[test]
fn peers_are_installed_beside_who_expects_them() {
    check(
        "
        ui@1.0.0 peer:react:>=18 peer?:vue:^3
        react@18.3.1
        react@19.0.0
        vue@3.0.0
        ",
        "ui:1",
        expect![[r#"
            react 19.0.0
            ui 1.0.0
        "#]],
    );
}

#[test]
fn one_react_for_all_who_expect_one() {
    check(
        "
        a-ui@1.0.0 peer:react:>=17
        b-ui@1.0.0 peer:react:^18.0.0
        react@17.0.2
        react@18.3.1
        react@19.0.0
        ",
        "a-ui:1 b-ui:1",
        expect![[r#"
            a-ui 1.0.0
            b-ui 1.0.0
            react 18.3.1
        "#]],
    );
    check(
        "
        ui@1.0.0 peer:react:^18.0.0
        react@18.3.1
        react@19.0.0
        ",
        "ui:1 react:^18_||_^19",
        expect![[r#"
            react 18.3.1
            ui 1.0.0
        "#]],
    );
}

#[test]
fn a_nested_peer_goes_where_nobody_else_finds_it() {
    check(
        "
        app@1.0.0 old-ui:1
        old-ui@1.0.0 peer:react:^17.0.0
        react@17.0.2
        react@19.0.0
        ",
        "app:1 react:^19",
        expect![[r#"
            app 1.0.0
            app > old-ui 1.0.0
            app > react 17.0.2
            react 19.0.0
        "#]],
    );
}

#[test]
fn an_optional_peer_has_to_fit_if_it_is_there() {
    check(
        "
        a@1.0.0 lib:1
        lib@1.0.0 peer?:react:^17.0.0
        react@17.0.2
        react@19.0.0
        ",
        "a:1 react:^19",
        expect![[r#"
            a 1.0.0
            a > lib 1.0.0
            a > react 17.0.2
            react 19.0.0
        "#]],
    );
}

#[test]
fn optional_dependencies_are_never_fatal() {
    check(
        "
        a@1.0.0 opt:linux:1 opt:wasm:1 opt:gone:1 opt:never:^9 opt:broken:1 opt:down:1 opt:ok:1
        linux@1.0.0 os=linux cpu=x64
        wasm@1.0.0 cpu=wasm32
        never@1.0.0
        broken@1.0.0 deep:1
        deep@1.0.0 gone:1
        down !fails
        ok@1.0.0 os=!win32
        ",
        "a:1",
        expect![[r#"
            a 1.0.0
            ok 1.0.0
            wasm 1.0.0
        "#]],
    );
    check(
        "a@1.0.0 b:1\nb@1.0.0 os=linux",
        "a:1",
        expect![[r#"
        a 1.0.0
        b 1.0.0
    "#]],
    );
}

#[test]
fn cycles_end() {
    check(
        "a@1.0.0 b:1\nb@1.0.0 a:1 b:1",
        "a:1",
        expect![[r#"
        a 1.0.0
        b 1.0.0
    "#]],
    );
    check(
        "a@1.0.0 peer:b:1\nb@1.0.0 peer:a:1",
        "a:1",
        expect![[r#"
        a 1.0.0
        b 1.0.0
    "#]],
    );
    check(
        "a@1.0.0 a:2\na@2.0.0 a:1",
        "a:1",
        expect![[r#"
        a: a and what it needs need each other in ever other versions (needed by a@1.0.0 → a@2.0.0 → a@1.0.0 → … → a@1.0.0 → a@2.0.0).
            Use fewer dependencies, or another version of a.
    "#]],
    );
}

#[test]
fn the_lock_is_kept_where_it_fits() {
    let registry = "
        a@1.0.0 x:^1.0.0
        b@1.0.0 x:^1.5.0
        x@1.0.0
        x@1.9.0
        x@2.0.0
    ";
    // The old project had an old x; what fits stays.
    check_from(
        registry,
        "a:1 x:1.0.0",
        "a:1",
        expect![[r#"
        a 1.0.0
        x 1.0.0
    "#]],
    );
    check_from(
        registry,
        "a:1 x:1.0.0",
        "a:1 b:1",
        expect![[r#"
        a 1.0.0
        b 1.0.0
        b > x 1.9.0
        x 1.0.0
    "#]],
    );
    check_from(
        registry,
        "a:1 x:1.0.0",
        "a:1 x:^2",
        expect![[r#"
        a 1.0.0
        a > x 1.0.0
        x 2.0.0
    "#]],
    );
    check_from(registry, "a:1 x:1.0.0", "", expect![[r#""#]]);
}

#[test]
fn a_lock_gives_way_where_it_contradicts() {
    check_from(
        "
        react@18.3.1
        react@19.0.0
        react-dom@18.3.1 peer:react:^18.3.1
        react-dom@19.0.0 peer:react:^19.0.0
        ",
        "react:^18 react-dom:^18",
        "react:^19 react-dom:*",
        expect![[r#"
            react 19.0.0
            react-dom 19.0.0
        "#]],
    );
}

#[test]
fn what_is_locked_is_not_looked_up() {
    let registry =
        universe("a@1.0.0 x:1 opt:linux:1\nx@1.0.0\nlinux@1.0.0 os=linux\nnew@1.0.0 x:^1.0.0\nt@1.0.0 #beta");
    let lock = drive(&registry, &wanted("a:1 t:beta"), None).result.expect("a lock");
    let rounds = drive(&registry, &wanted("a:1 t:beta new:1"), Some(&lock)).rounds;
    assert_eq!(rounds, [["new"]]);
    let rounds = drive(&registry, &wanted("a:1 t:latest"), Some(&lock)).rounds;
    assert_eq!(rounds, [["t"]]);
}

#[test]
fn packuments_are_asked_for_level_by_level() {
    let registry = universe(
        "
        a@1.0.0 c:1 d:1
        b@1.0.0 peer:e:1
        c@1.0.0 f:1
        d@1.0.0 opt:f:1
        e@1.0.0
        f@1.0.0
        ",
    );
    let rounds = drive(&registry, &wanted("a:1 b:1"), None).rounds;
    assert_eq!(rounds, [vec!["a", "b"], vec!["c", "d", "e"], vec!["f"]]);
}

#[test]
fn peers_that_nobody_asked_for_are_not_insisted_on() {
    let registry = universe(
        "
        helmet@6.0.0 side-effect:1 peer:react:>=16
        side-effect@1.0.0 peer:react:^16_||_^17_||_^18
        react@18.3.1
        react@19.0.0
        ",
    );
    let lock = drive(&registry, &wanted("helmet:6 react:^19"), None).result.expect("npm only warns");
    expect![[r#"
        helmet 6.0.0
        react 19.0.0
        side-effect 1.0.0
    "#]]
    .assert_eq(&layout(&lock));
}
