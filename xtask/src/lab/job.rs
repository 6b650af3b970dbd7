//! What runs in the lab machine: a shell script that gives a command its folder and environment.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Variables that a command sees: those with these beginnings, beside the ones of [`NAMES`].
const PREFIXES: [&str; 4] = ["RUST_", "SANDGLASS_", "CARGO_BIN_EXE_", "LC_"];
const NAMES: [&str; 5] = ["PATH", "LANG", "TERM", "NO_COLOR", "CARGO_MANIFEST_DIR"];

/// The only folders of a job that outlive its writes' way through memory: they are on ext4.
const FIXED: [(&str, &str); 4] =
    [("HOME", "/lab/home"), ("TMPDIR", "/lab/tmp"), ("USER", "root"), ("SANDGLASS_LAB", "1")];

/// A command for the lab machine.
pub struct Job {
    /// Program and arguments; a program without a slash is looked for in PATH.
    pub command: Vec<String>,
    /// Its working folder.
    pub folder: PathBuf,
    /// A folder of the host that it may write to, seen under the same path.
    pub share: Option<PathBuf>,
}

impl Job {
    /// A command in the caller's folder.
    ///
    /// # Errors
    /// When there is no working folder, or the folder to share isn't one.
    pub fn here(command: Vec<String>, share: Option<&Path>) -> anyhow::Result<Self> {
        let folder = env::current_dir().context("there is no working folder")?;
        let whole = |path: &Path| path.canonicalize().with_context(|| format!("can't share {}", path.display()));
        Ok(Self { command, folder, share: share.map(whole).transpose()? })
    }

    /// The script, for busybox's shell.
    pub fn script(&self) -> String {
        let passed = env::vars().filter(|(name, _)| passes(name));
        let fixed = FIXED.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = passed.chain(fixed).map(|(name, value)| quote(&format!("{name}={value}")));
        let words: Vec<String> = variables.chain(self.command.iter().map(|word| quote(word))).collect();
        format!(
            "cd {} || exit 126\nulimit -n 65536\nulimit -l unlimited\nexec /.lab/busybox env -i {}\n",
            quote(&self.folder.to_string_lossy()),
            words.join(" ")
        )
    }
}

fn passes(name: &str) -> bool {
    let fixed = FIXED.iter().any(|(other, _)| *other == name);
    !fixed && (NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

/// One word to a shell, whatever is in it.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole() {
        let check = |word: &str, expected: &str| assert_eq!(quote(word), expected);
        check("plain", "'plain'");
        check("", "''");
        check("two words $HOME `a` \\", "'two words $HOME `a` \\'");
        check("it's", r"'it'\''s'");
    }

    #[test]
    fn few_variables_get_in() {
        let check = |name: &str, expected: bool| assert_eq!(passes(name), expected, "{name}");
        check("RUST_BACKTRACE", true);
        check("SANDGLASS_GUEST_KERNEL", true);
        check("CARGO_BIN_EXE_vmm", true);
        check("PATH", true);
        check("HOME", false);
        check("LD_LIBRARY_PATH", false);
        check("SANDGLASS_LAB", false);
    }
}
