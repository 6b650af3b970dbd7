use std::io::Write as _;

use bundler_npm::{Limits, UnpackError, unpack};
use expect_test::{Expect, expect};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// A tarball being made. Headers are written raw: honest tools refuse what is tested here.
struct Tarball(Builder<Vec<u8>>);

impl Tarball {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, path: &[u8], target: &[u8], contents: &[u8]) -> Self {
        let mut header = if kind == EntryType::GNUSparse { Header::new_gnu() } else { Header::new_ustar() };
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        header.set_entry_type(kind);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        self.0.append(&header, contents).expect("memory");
        self
    }

    fn file(self, path: &str, contents: &str) -> Self {
        self.entry(EntryType::Regular, path.as_bytes(), b"", contents.as_bytes())
    }

    fn tar(self) -> Vec<u8> {
        self.0.into_inner().expect("memory")
    }

    fn gz(self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::none());
    out.write_all(bytes).expect("memory");
    out.finish().expect("memory")
}

fn check_with(bytes: &[u8], limits: &Limits, expected: Expect) {
    let text = match unpack(bytes, limits) {
        Ok(files) => {
            files.iter().map(|(path, bytes)| format!("{path}: {}\n", String::from_utf8_lossy(bytes))).collect()
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&text);
}

fn check(bytes: &[u8], expected: Expect) {
    check_with(bytes, &Limits::default(), expected);
}

#[test]
fn files_without_their_first_folder_in_order() {
    let tarball = Tarball::new()
        .entry(EntryType::XGlobalHeader, b"pax_global_header", b"", b"19 comment=something\n")
        .entry(EntryType::Directory, b"package/", b"", b"")
        .file("package/package.json", "{}")
        .file("./package/lib/./b.js", "b")
        .file("other//lib/a.js", "a")
        .file("package/A.js", "upper")
        .file("package/a.js", "first")
        .file("package/a.js", "last")
        .file("alone", "not in the package")
        .entry(EntryType::Regular, b"package/folder/", b"", b"")
        .entry(EntryType::Continuous, b"package/c.js", b"", b"c")
        .entry(EntryType::Regular, b"package/latin-\xe9.js", b"", b"");
    check(
        &tarball.gz(),
        expect![[r#"
        A.js: upper
        a.js: last
        c.js: c
        latin-�.js: 
        lib/a.js: a
        lib/b.js: b
        package.json: {}
    "#]],
    );
}

#[test]
fn long_names() {
    let long = format!("package/{}/x.js", "folder/".repeat(30));
    let mut gnu = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(3);
    gnu.append_data(&mut header, &long, &b"gnu"[..]).expect("memory");
    let files = unpack(&gzip(&gnu.into_inner().expect("memory")), &Limits::default()).expect("files");
    assert_eq!(files, [(long.replace("package/", "").replace("//", "/"), b"gnu".to_vec())]);

    let record = "path=package/deep/pax.js\n";
    let record = format!("{} {record}", record.len() + 3);
    let tarball = Tarball::new().entry(EntryType::XHeader, b"x", b"", record.as_bytes()).file("package/short", "pax");
    check(
        &tarball.gz(),
        expect![[r#"
        deep/pax.js: pax
    "#]],
    );
}

#[test]
fn names_that_lead_out_refuse_the_tarball() {
    for (path, expected) in [
        (
            "package/../../etc/passwd",
            expect![[r#"the tarball has a file "package/../../etc/passwd": its path leads upwards"#]],
        ),
        ("../package/a", expect![[r#"the tarball has a file "../package/a": its path leads upwards"#]]),
        ("/etc/passwd", expect![[r#"the tarball has a file "/etc/passwd": its path is absolute"#]]),
        ("package\\..\\a", expect![[r#"the tarball has a file "package\\..\\a": its path has a backslash"#]]),
    ] {
        check(&Tarball::new().file("package/ok.js", "").file(path, "").gz(), expected);
    }
    // A NUL can't stand in a plain header, but in an extended one.
    let record = "22 path=package/a\0b.js\n";
    assert_eq!(record.len(), 23);
    let record = record.replacen("22", "23", 1);
    let tarball = Tarball::new().entry(EntryType::XHeader, b"x", b"", record.as_bytes()).file("package/short", "pax");
    check(&tarball.gz(), expect![[r#"the tarball has a file "package/a·b.js": its path has a NUL"#]]);
}

#[test]
fn links_and_devices() {
    for (kind, path, target, expected) in [
        (
            EntryType::Symlink,
            "package/a/b",
            "../c.js",
            expect![[r#"
            c.js: 
        "#]],
        ),
        (
            EntryType::Symlink,
            "package/a",
            "../c.js",
            expect![[r#"the tarball has a link "package/a" that leads out of the package, to "../c.js""#]],
        ),
        (
            EntryType::Symlink,
            "package/a",
            "/etc/passwd",
            expect![[r#"the tarball has a link "package/a" that leads out of the package, to "/etc/passwd""#]],
        ),
        (
            EntryType::Symlink,
            "package/a",
            "x/../../../y",
            expect![[r#"the tarball has a link "package/a" that leads out of the package, to "x/../../../y""#]],
        ),
        (
            EntryType::Symlink,
            "package/../a",
            "x",
            expect![[r#"the tarball has a file "package/../a": its path leads upwards"#]],
        ),
        (
            EntryType::Link,
            "package/a",
            "package/c.js",
            expect![[r#"
            c.js: 
        "#]],
        ),
        (
            EntryType::Link,
            "package/a/b",
            "package/../../c.js",
            expect![[r#"the tarball has a link "package/a/b" that leads out of the package, to "package/../../c.js""#]],
        ),
        (
            EntryType::Link,
            "package/a",
            "/etc/passwd",
            expect![[r#"the tarball has a link "package/a" that leads out of the package, to "/etc/passwd""#]],
        ),
        (
            EntryType::Char,
            "package/a",
            "",
            expect![[r#"the tarball has "package/a", which is neither a file nor a folder"#]],
        ),
        (
            EntryType::Block,
            "package/a",
            "",
            expect![[r#"the tarball has "package/a", which is neither a file nor a folder"#]],
        ),
        (
            EntryType::Fifo,
            "package/a",
            "",
            expect![[r#"the tarball has "package/a", which is neither a file nor a folder"#]],
        ),
        (
            EntryType::GNUSparse,
            "package/a",
            "",
            expect!["the tarball is damaged: numeric field was not a number:  when getting real_size for :"],
        ),
        (
            EntryType::new(b'Z'),
            "package/a",
            "",
            expect![[r#"the tarball has "package/a", which is neither a file nor a folder"#]],
        ),
    ] {
        let tarball = Tarball::new().file("package/c.js", "").entry(kind, path.as_bytes(), target.as_bytes(), b"");
        check(&tarball.gz(), expected);
    }
}

#[test]
fn limits() {
    let limits = Limits { file_bytes: 1_000, total_bytes: 10_000, entries: 3 };
    let tarball = |files: usize, bytes: usize| {
        let contents = "x".repeat(bytes);
        (0..files).fold(Tarball::new(), |tarball, n| tarball.file(&format!("package/{n}.js"), &contents)).gz()
    };
    assert!(unpack(&tarball(3, 1_000), &limits).is_ok());
    check_with(&tarball(1, 1_001), &limits, expect![[r#""0.js" is larger than 1000 bytes"#]]);
    check_with(&tarball(4, 1), &limits, expect!["the tarball has more than 3 entries"]);
    let total = Limits { entries: 100, ..limits };
    check_with(&tarball(20, 900), &total, expect!["the tarball unpacks to more than 10000 bytes"]);

    // What is passed over is bounded too: a bomb in a folder's entry, or in a long name.
    let zeros = vec![0; 100_000];
    let bomb = Tarball::new().entry(EntryType::Directory, b"package/", b"", &zeros).file("package/a", "");
    check_with(&bomb.gz(), &limits, expect!["the tarball unpacks to more than 10000 bytes"]);
    let bomb = Tarball::new().entry(EntryType::GNULongName, b"x", b"", &zeros).file("package/a", "");
    check_with(&bomb.gz(), &limits, expect!["the tarball unpacks to more than 10000 bytes"]);
}

#[test]
fn a_size_is_only_a_claim() {
    let mut tar = Tarball::new().file("package/a.js", "abc").tar();
    let mut header = Header::from_byte_slice(&tar[..512]).clone();
    header.set_size(1 << 40);
    header.set_cksum();
    tar[..512].copy_from_slice(header.as_bytes());
    check(&gzip(&tar), expect![[r#""a.js" is larger than 33554432 bytes"#]]);
    header.set_size(20 << 20);
    header.set_cksum();
    tar[..512].copy_from_slice(header.as_bytes());
    check(&gzip(&tar), expect![[r#"the tarball is cut off in "a.js""#]]);
}

#[test]
fn a_sparse_file_claims_more_than_it_holds() {
    let mut header = Header::new_gnu();
    header.set_path("package/s").expect("a short name");
    header.set_entry_type(EntryType::GNUSparse);
    let gnu = header.as_gnu_mut().expect("made as one");
    gnu.realsize = *b"777777777777";
    gnu.sparse[0].offset = *b"000000000000";
    gnu.sparse[0].numbytes = *b"000000000000";
    header.set_size(0);
    header.set_cksum();
    let mut tar = Builder::new(Vec::new());
    tar.append(&header, &b""[..]).expect("memory");
    check(
        &gzip(&tar.into_inner().expect("memory")),
        expect!["the tarball is damaged: mismatch in sparse file chunks and size in header"],
    );
}

#[test]
fn damaged() {
    check(b"", expect!["the tarball is damaged: unexpected end of file"]);
    check(b"<html>not found</html>", expect!["the tarball is damaged: invalid gzip header"]);
    check(&gzip(b""), expect!["the tarball is damaged: it is empty"]);
    check(&gzip(b"no tar"), expect!["the tarball is damaged: failed to read entire block"]);
    check(
        &gzip(&[b'x'; 2_000]),
        expect![
            "the tarball is damaged: numeric field was not a number: xxxxxxxx when getting cksum for xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        ],
    );
}

/// Whatever is cut off or flipped, the answer is files or an error.
#[test]
fn no_damage_panics() {
    let long = format!("package/{}x.js", "folder/".repeat(30));
    let record = "28 path=package/deep/pax.js\n";
    let tar = Tarball::new()
        .file("package/package.json", "{}")
        .entry(EntryType::GNULongName, b"././@LongLink", b"", long.as_bytes())
        .file("package/a.js", "a")
        .entry(EntryType::XHeader, b"x", b"", record.as_bytes())
        .file("package/b.js", &"b".repeat(600))
        .entry(EntryType::Symlink, b"package/l", b"a.js", b"")
        .tar();
    let limits = Limits { file_bytes: 1 << 20, total_bytes: 1 << 20, entries: 100 };
    assert_eq!(unpack(&gzip(&tar), &limits).expect("files").len(), 3);
    let mut errors = 0;
    // Of contents a sample will do.
    let is_header = |at: usize| tar[at / 512 * 512..][257..262] == *b"ustar";
    for at in (0..tar.len()).filter(|at| is_header(*at) || at % 16 == 0) {
        for value in [b'7', 0xff] {
            let mut broken = tar.clone();
            broken[at] = value;
            // A header with a right checksum gets further.
            if let Some(start) = (at / 512 * 512 + 512 <= broken.len()).then_some(at / 512 * 512) {
                let mut header = Header::from_byte_slice(&broken[start..start + 512]).clone();
                header.set_cksum();
                broken[start..start + 512].copy_from_slice(header.as_bytes());
            }
            errors += u32::from(unpack(&gzip(&broken), &limits).is_err());
        }
    }
    let gz = gzip(&tar);
    for at in (0..gz.len()).step_by(5) {
        errors += u32::from(unpack(&gz[..at], &limits).is_err());
        let mut broken = gz.clone();
        broken[at] ^= 0x55;
        errors += u32::from(unpack(&broken, &limits).is_err());
    }
    assert!(errors > 100, "only {errors} were found");
    assert!(matches!(unpack(&gz[..gz.len() / 2], &limits), Err(UnpackError::CutOff(_) | UnpackError::Damaged(_))));
}
