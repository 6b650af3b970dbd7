//! Connections that the guest opens to the host.

use std::sync::Arc;

use super::{Args, Failure, Step as _};
use crate::Guest;
use crate::pattern::Pattern;
use crate::stream::round_trip;
use crate::sys::{self, clock};

/// Most connections at once: each takes two threads and a buffer on both sides.
const CONNECTION_LIMIT: u64 = 1024;

pub(super) fn connect(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let port = args.number_to("PORT", u32::MAX.into())? as u32;
    let bytes = args.number("BYTES")?;
    let pattern = Pattern::new(args.number("SEED")?);
    let context = match args.count() {
        0 => None,
        _ => Some(args.number_to("CID", u32::MAX.into())? as u32),
    };
    let start = clock::monotonic_us();
    let stream = match context {
        // Context 1 is the guest itself, which tells its own troubles from those of the device.
        Some(context) => sys::vsock::connect(context, port),
        None => guest.host.connect(port),
    };
    let stream = stream.step(format!("connect to port {port}"))?;
    round_trip(stream, bytes, pattern).map_err(Failure::Wrong)?;
    Ok(format!("bytes={bytes} us={}", clock::monotonic_us() - start))
}

pub(super) fn many(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let port = args.number_to("PORT", u32::MAX.into())? as u32;
    let connections = args.number_to("CONNS", CONNECTION_LIMIT)?;
    let bytes = args.number("BYTES")?;
    let start = clock::monotonic_us();
    // All are open before the first byte flows, so that they do run side by side.
    let streams = (0..connections)
        .map(|index| guest.host.connect(port).step(format!("connection {index} to port {port}")))
        .collect::<Result<Vec<_>, _>>()?;
    let failures: Vec<String> = std::thread::scope(|scope| {
        let start = |(index, stream)| {
            let work = move || round_trip(stream, bytes, Pattern::new(index));
            std::thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, work)
        };
        // Collected first: a lazy chain would wait for each before the next starts.
        let threads: Vec<_> = (0..).zip(streams).map(start).collect();
        threads
            .into_iter()
            .filter_map(|thread| match thread.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(result)) => result.err(),
                Ok(Err(_)) => Some("panicked".to_owned()),
                Err(error) => Some(format!("start a thread: {error}")),
            })
            .collect()
    });
    match failures.first() {
        None => Ok(format!(
            "connections={connections} bytes={} us={}",
            bytes.saturating_mul(connections),
            clock::monotonic_us() - start
        )),
        Some(first) => Err(Failure::Wrong(format!("{} of {connections} failed, first: {first}", failures.len()))),
    }
}
