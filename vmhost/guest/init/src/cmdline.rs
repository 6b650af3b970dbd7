//! Reads this program's words from the kernel's command line: those that start with `sandglass.`.
//!
//! Pure: text goes in, settings come out. Words of others are skipped.

/// What the command line asks of this program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `sandglass.mark=port`: tell the VMM by a port write that init runs.
    pub(crate) mark_port: bool,
    /// `sandglass.serial=1`: serve requests on the console's input.
    pub(crate) serial: bool,
    /// `sandglass.do=...`: request lines to run before serving.
    pub(crate) requests: Vec<String>,
    /// `sandglass.` words that mean nothing to this program.
    pub(crate) unknown: Vec<String>,
}

impl Settings {
    pub(crate) fn parse(cmdline: &str) -> Self {
        let mut settings = Self::default();
        for word in words(cmdline) {
            let Some(word) = word.strip_prefix("sandglass.") else { continue };
            match word.split_once('=') {
                Some(("mark", "port")) => settings.mark_port = true,
                Some(("serial", "1")) => settings.serial = true,
                Some(("do", list)) => {
                    settings
                        .requests
                        .extend(list.split(';').filter(|it| !it.is_empty()).map(|it| it.replace(',', " ")));
                }
                _ => settings.unknown.push(word.to_owned()),
            }
        }
        settings
    }
}

/// Splits at white space, except within double quotes, which are dropped (as the kernel does).
fn words(cmdline: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in cmdline.chars() {
        match letter {
            '"' => quoted = !quoted,
            _ if letter.is_whitespace() && !quoted => words.push(String::new()),
            _ => words.last_mut().expect("there is a first word from the start").push(letter),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cmdline: &str, wanted: &Settings) {
        assert_eq!(&Settings::parse(cmdline), wanted, "{cmdline}");
    }

    #[test]
    fn words_of_others_are_skipped() {
        check("console=ttyS0 quiet panic=-1 do=ping\n", &Settings::default());
    }

    #[test]
    fn switches() {
        let wanted = Settings { mark_port: true, serial: true, ..Settings::default() };
        check("sandglass.mark=port quiet sandglass.serial=1", &wanted);
        check("sandglass.mark=led", &Settings { unknown: vec!["mark=led".into()], ..Settings::default() });
    }

    #[test]
    fn requests_in_order() {
        let requests = |lines: &[&str]| Settings {
            requests: lines.iter().map(|&line| line.to_owned()).collect(),
            ..Settings::default()
        };
        check("sandglass.do=poweroff", &requests(&["poweroff"]));
        check(
            "sandglass.do=mem-fill,8,1;;mem-check sandglass.do=ping",
            &requests(&["mem-fill 8 1", "mem-check", "ping"]),
        );
        check("sandglass.do=\"write,/tmp/a,b c;ping\"", &requests(&["write /tmp/a b c", "ping"]));
    }
}
