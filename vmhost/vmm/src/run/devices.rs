//! Makes a configuration's devices of what was opened.

use std::fs::File;
use std::path::PathBuf;

use vmm_control::{Network, VmConfig};

use super::open::{Link, VsockFiles};
use super::{DiskFiles, RunError};
use crate::memory::GuestRam;
use crate::virtio::Device;
use crate::virtio::balloon::{Balloon, BalloonOptions};
use crate::virtio::block::Image;
use crate::virtio::block::{Block, BlockOptions};
use crate::virtio::entropy::{Entropy, EntropyOptions};
use crate::virtio::net::{Net, NetOptions};
use crate::virtio::vsock::{PeerConnector, VsockDevice};

/// The largest payload of a frame.
const MTU: u16 = 1500;

/// A disk's files, kept to hand them to clones.
pub struct DiskRecord {
    /// Its id in the configuration.
    pub id: String,
    /// Files that aren't written any more, the lowest first.
    pub frozen: Vec<(File, PathBuf)>,
    /// The file that takes writes now.
    pub written: Option<(File, PathBuf)>,
}

/// Devices by their names, in the order of their addresses, which must stay the same for
/// the same configuration: a snapshot relies on it.
pub type Named = Vec<(String, Box<dyn Device>)>;

/// Makes all devices.
pub fn make(
    config: &VmConfig,
    disks: Vec<DiskFiles>,
    links: Vec<Link>,
    vsock: Option<VsockFiles>,
    ram: &GuestRam,
) -> Result<(Named, Vec<DiskRecord>), RunError> {
    let mut made: Named = Vec::new();
    let mut records = Vec::new();
    if disks.len() != config.disks.len() {
        let reason = format!("{} disks are configured, files of {} came", config.disks.len(), disks.len());
        return Err(RunError::Device { device: "block".into(), reason });
    }
    for (disk, files) in config.disks.iter().zip(disks) {
        let name = format!("block:{}", disk.id);
        let failed = |reason: String| RunError::Device { device: name.clone(), reason };
        let record = record(disk.id.clone(), files, disk.read_only).map_err(|e| failed(e.to_string()))?;
        let image = image(&record).map_err(failed)?;
        let options = BlockOptions { id: disk.id.clone(), image, read_only: disk.read_only, rate: disk.rate };
        let block = Block::new(options).map_err(|error| failed(error.to_string()))?;
        made.push((name.clone(), Box::new(block)));
        records.push(record);
    }
    for (network, link) in config.networks.iter().zip(links) {
        made.push((format!("net:{}", network.id), Box::new(net(network, link)?)));
    }
    if let (Some(vsock), Some(files)) = (&config.vsock, vsock) {
        let device = VsockDevice::new(vsock.cid, files.listener, PeerConnector::new(files.prefix));
        made.push(("vsock".into(), Box::new(device.map_err(host("vsock"))?)));
    }
    if let Some(balloon) = &config.balloon {
        let options = BalloonOptions {
            target_mib: balloon.target_mib,
            free_page_reporting: balloon.free_page_reporting,
            deflate_on_oom: balloon.deflate_on_oom,
            statistics_interval: None,
        };
        let discarder = ram.discarder();
        let discard = Box::new(move |address, length| discarder.discard(address, length));
        made.push(("balloon".into(), Box::new(Balloon::new(options, discard).map_err(host("balloon"))?)));
    }
    if config.entropy {
        made.push(("entropy".into(), Box::new(Entropy::new(EntropyOptions::default()).map_err(host("entropy"))?)));
    }
    Ok((made, records))
}

fn record(id: String, files: DiskFiles, read_only: bool) -> std::io::Result<DiskRecord> {
    let DiskFiles { layers: mut frozen, top } = files;
    // An image alone takes writes itself.
    let written = if top.is_none() && frozen.len() == 1 && !read_only { frozen.pop() } else { top };
    Ok(DiskRecord { id, frozen, written })
}

/// The disk with handles of its own on the files.
fn image(record: &DiskRecord) -> Result<Image, String> {
    let own = |(file, _): &(File, PathBuf)| file.try_clone().map_err(|error| error.to_string());
    let mut frozen = record.frozen.iter().map(own).collect::<Result<Vec<_>, _>>()?;
    let written = record.written.as_ref().map(own).transpose()?;
    let (base, layers, top) = if frozen.is_empty() {
        (written.ok_or("there is no image")?, Vec::new(), None)
    } else {
        (frozen.remove(0), frozen, written)
    };
    Image::open(base, layers, top).map_err(|error| error.to_string())
}

fn net(network: &Network, link: Link) -> Result<Net, RunError> {
    let options =
        NetOptions { mac: network.mac, mtu: MTU, send_rate: network.send_rate, receive_rate: network.receive_rate };
    let net = match link {
        Link::Tap(file) => Net::tap(options, file),
        Link::Passt(stream) => Net::passt(options, stream),
    };
    net.map_err(|error| RunError::Device { device: format!("net:{}", network.id), reason: error.to_string() })
}

fn host(device: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    move |error| RunError::Device { device: device.into(), reason: error.to_string() }
}
