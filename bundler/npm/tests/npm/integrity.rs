use bundler_npm::verify;
use expect_test::{Expect, expect};

fn check(integrity: &str, expected: Expect) {
    let text = verify(b"hello", integrity).map_or_else(|error| error.to_string(), |()| "ok".to_owned());
    expected.assert_eq(&text);
}

const SHA512: &str = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";
const SHA1: &str = "sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=";

#[test]
fn what_it_should_be() {
    check(SHA512, expect![["ok"]]);
    check(SHA512.trim_end_matches('='), expect![["ok"]]);
    check(&format!("  {SHA512}?option  "), expect![["ok"]]);
    check(SHA1, expect![["ok"]]);
    check("sha384-WeF0h3dEjGnea4ANejO7+5/xtGPkQ1TDVTvNucZm+pASWjx5+QOXvfX2oT3oKGhP", expect![["ok"]]);
    check("sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", expect![["ok"]]);
    check("aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", expect![["ok"]]);
}

#[test]
fn only_the_strongest_kind_counts() {
    let wrong512 = "sha512-AAHSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";
    check(&format!("sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA= {SHA512}"), expect![["ok"]]);
    check(&format!("{wrong512} {SHA512}"), expect![["ok"]]);
    check(
        &format!("{wrong512} {SHA1}"),
        expect![
            "its contents hash to sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==, and not to sha512-AAHSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw== as expected"
        ],
    );
    check(&format!("md5-XUFAKrxLKna5cZ2REBfFkg== {SHA1}"), expect![["ok"]]);
}

#[test]
fn what_it_should_not_be() {
    check(
        "sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        expect![
            "its contents hash to sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=, and not to sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA= as expected"
        ],
    );
    check(
        "0000000000000000000000000000000000000000",
        expect![
            "its contents hash to sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=, and not to sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA= as expected"
        ],
    );
}

#[test]
fn nothing_to_verify_against_is_no_success() {
    for integrity in ["", " ", "sha512-", "sha512-AAAA", "sha1-!!!", "md5-XUFAKrxLKna5cZ2REBfFkg==", "abc", "SHA512-AA"]
    {
        let error = verify(b"hello", integrity).expect_err(integrity);
        assert!(matches!(error, bundler_npm::IntegrityError::Unknown(_)), "{integrity}: {error}");
    }
    check("md5-AA", expect![[r#"the integrity "md5-AA" names no hash that is known here"#]]);
}
