//! Words of a request line, and what can be wrong with a request.

use std::fmt;
use std::io;

/// The rest of a request line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a>(&'a str);

/// Why a verb didn't do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument isn't of its kind.
    Argument { name: &'static str, word: String },
    /// The system refused.
    Step { step: String, source: io::Error },
    /// What was checked isn't as it should be.
    Wrong(String),
    /// The verb would change the machine, and this isn't a guest.
    NotInit,
}

/// Names the step of an error.
pub(crate) trait Step<T> {
    fn step(self, step: impl Into<String>) -> Result<T, Failure>;
}

impl<T> Step<T> for io::Result<T> {
    fn step(self, step: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|source| Failure::Step { step: step.into(), source })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { name, word } => write!(f, "bad {name}: {}", crate::escape::escape(word.as_bytes())),
            Self::Step { step, source } => write!(f, "{step}: {source}"),
            Self::Wrong(text) => f.write_str(text),
            Self::NotInit => f.write_str("refused outside a guest"),
        }
    }
}

impl<'a> Args<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self(line.trim())
    }

    /// The next word.
    pub(crate) fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(char::is_whitespace).unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        Some(word).filter(|word| !word.is_empty())
    }

    /// The next word, which the verb's usage promised.
    pub(crate) fn word(&mut self, name: &'static str) -> Result<&'a str, Failure> {
        self.next().ok_or_else(|| Failure::Argument { name, word: String::new() })
    }

    /// The next word as a number.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<u64, Failure> {
        self.parsed(name, number)
    }

    /// The next word as a number of at most `limit`.
    pub(crate) fn number_to(&mut self, name: &'static str, limit: u64) -> Result<u64, Failure> {
        self.parsed(name, |word| number(word).filter(|&number| number <= limit))
    }

    /// The next word by `parse`, which says nothing if the word is wrong.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let word = self.word(name)?;
        parse(word).ok_or_else(|| Failure::Argument { name, word: word.to_owned() })
    }

    /// All that is left, as it is.
    pub(crate) fn rest(self) -> &'a str {
        self.0
    }

    /// How many words are left.
    pub(crate) fn count(self) -> usize {
        self.0.split_whitespace().count()
    }
}

/// Decimal or `0x` hexadecimal, perhaps with a power of 1024 behind it.
pub(crate) fn number(word: &str) -> Option<u64> {
    let (digits, shift) = match word.as_bytes().last()? {
        b'K' | b'k' => (&word[..word.len() - 1], 10),
        b'M' | b'm' => (&word[..word.len() - 1], 20),
        b'G' | b'g' => (&word[..word.len() - 1], 30),
        _ => (word, 0),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    number.ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (word, wanted) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("0x1f", Some(31)),
            ("64K", Some(65536)),
            ("0x2m", Some(2 << 20)),
            ("3G", Some(3 << 30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551615K", None),
            ("", None),
            ("K", None),
            ("-1", None),
            ("1.5", None),
            ("ä", None),
        ] {
            assert_eq!(number(word), wanted, "{word:?}");
        }
    }

    #[test]
    fn words_and_rest() {
        let mut args = Args::new("  write  /tmp/a   b  c \n");
        assert_eq!(args.count(), 4);
        assert_eq!((args.next(), args.next(), args.rest()), (Some("write"), Some("/tmp/a"), "b  c"));
    }
}
