//! Lines for whoever watches the guest's console (standard output of PID 1).

use std::io::Write as _;

/// Writes one line with this program's name. A console that is absent or broken is no reason to
/// stop, so failures are ignored.
pub(crate) fn say(text: &str) {
    print(&format!("sandglass-init: {text}"));
}

/// Writes one line as it is, in one piece, as the kernel writes to the same console.
pub(crate) fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}
