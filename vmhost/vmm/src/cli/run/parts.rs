//! Parts of a configuration in the short form that flags have.

use std::path::PathBuf;

use vmm_control::{Console, Disk, Mac, Network, NetworkBackend, RateLimit};

/// `root=base.img,ro` or `root=base.img,overlay=top`.
pub fn disk(text: &str) -> Result<Disk, String> {
    let (id, rest) = text.split_once('=').ok_or("expected ID=IMAGE, like root=disk.img")?;
    let mut words = rest.split(',');
    let path = PathBuf::from(words.next().unwrap_or_default());
    let mut disk = Disk { id: id.to_owned(), path, read_only: false, overlay: None, rate: RateLimit::default() };
    for word in words {
        match word.split_once('=') {
            None if word == "ro" => disk.read_only = true,
            Some(("overlay", file)) => disk.overlay = Some(file.into()),
            _ => return Err(format!("`{word}` is neither `ro` nor `overlay=FILE`")),
        }
    }
    Ok(disk)
}

/// `eth0=tap:tap0,mac=02:00:00:00:00:01` or `eth0=passt:passt.sock`.
pub fn network(text: &str) -> Result<Network, String> {
    let wrong = "expected ID=tap:NAME or ID=passt:SOCKET, like eth0=passt:passt.sock";
    let (id, rest) = text.split_once('=').ok_or(wrong)?;
    let (backend, mac) = match rest.split_once(",mac=") {
        Some((backend, mac)) => (backend, Mac::try_from(mac.to_owned()).map_err(|error| error.to_string())?),
        // Locally administered; one VM alone on its network needs no other.
        None => (rest, Mac([2, 0, 0, 0, 0, 1])),
    };
    let backend = match backend.split_once(':') {
        Some(("tap", name)) => NetworkBackend::Tap(name.to_owned()),
        Some(("passt", socket)) => NetworkBackend::Passt(socket.into()),
        _ => return Err(wrong.into()),
    };
    let rate = RateLimit::default();
    Ok(Network { id: id.to_owned(), backend, mac, send_rate: rate, receive_rate: rate })
}

/// `off`, `stdio` or `file:console.log`.
pub fn console(text: &str) -> Result<Console, String> {
    match text.split_once(':') {
        None if text == "off" => Ok(Console::Off),
        None if text == "stdio" => Ok(Console::Stdio),
        Some(("file", path)) if !path.is_empty() => Ok(Console::File(path.into())),
        _ => Err("expected off, stdio or file:PATH".into()),
    }
}
