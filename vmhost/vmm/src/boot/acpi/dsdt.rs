//! The DSDT: the devices that a kernel can't find by itself.

use acpi_tables::aml::{
    Arg, Device, EISAName, Equal, IO, If, Interrupt, Memory32Fixed, Method, Name, Notify, ONE, Package, Path,
    ResourceTemplate, Scope, ZERO,
};
use acpi_tables::sdt::Sdt;
use acpi_tables::{Aml, AmlSink};

use super::{OEM, REVISION, TABLE};
use crate::generation::GENERATION;
use crate::legacy::{ports, serial};
use crate::memory::layout::{GED_GSI, SERIAL_GSI, VIRTIO_GSI, VIRTIO_MMIO, VIRTIO_MMIO_SIZE};

/// "The value has changed", as the generation device says it (device-specific, 0x80).
const CHANGED: u8 = 0x80;

pub(super) fn bytes(devices: usize) -> Sdt {
    let mut table = Sdt::new(*b"DSDT", 36, 2, OEM, TABLE, REVISION);
    sleep(&mut table);
    serial_port(&mut table);
    generation(&mut table);
    for index in 0..devices {
        virtio(&mut table, index);
    }
    table.update_checksum();
    table
}

/// `_S5`: what to write to power off.
fn sleep(table: &mut dyn AmlSink) {
    Name::new("_S5_".into(), &Package::new(vec![&ports::SLEEP_TYPE_S5, &ZERO, &ZERO, &ZERO])).to_aml_bytes(table);
}

fn serial_port(table: &mut dyn AmlSink) {
    let port = u16::try_from(serial::PORT).expect("a port");
    let ports = u8::try_from(serial::PORTS).expect("eight");
    scope(
        table,
        "COM1",
        &[
            &Name::new("_HID".into(), &EISAName::new("PNP0501")),
            &Name::new("_UID".into(), &ZERO),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![
                    &IO::new(port, port, 1, ports),
                    &Interrupt::new(true, true, false, false, SERIAL_GSI),
                ]),
            ),
        ],
    );
}

/// The generation id, and the event device that says that it has changed.
fn generation(table: &mut dyn AmlSink) {
    let (low, high) = (u32::try_from(GENERATION).expect("below 1 MiB"), ZERO);
    scope(
        table,
        "VGEN",
        &[
            &Name::new("_HID".into(), &"QEMUVGID"),
            &Name::new("_CID".into(), &"VM_Gen_Counter"),
            &Name::new("_DDN".into(), &"VM_Gen_Counter"),
            &Name::new("ADDR".into(), &Package::new(vec![&low, &high])),
        ],
    );
    let vgen = Path::new("\\_SB_.VGEN");
    scope(
        table,
        "GED_",
        &[
            &Name::new("_HID".into(), &"ACPI0013"),
            &Name::new("_UID".into(), &ZERO),
            &Name::new("_CRS".into(), &ResourceTemplate::new(vec![&Interrupt::new(true, true, false, false, GED_GSI)])),
            &Method::new(
                "_EVT".into(),
                1,
                true,
                vec![&If::new(&Equal::new(&Arg(0), &GED_GSI), vec![&Notify::new(&vgen, &CHANGED)])],
            ),
        ],
    );
}

/// A virtio-mmio device, as Linux knows it (`LNRO0005`): registers and an edge-triggered interrupt of its own.
fn virtio(table: &mut dyn AmlSink, index: usize) {
    let number = u32::try_from(index).expect("there are few");
    let base = u32::try_from(VIRTIO_MMIO + u64::from(number) * VIRTIO_MMIO_SIZE).expect("below 4 GiB");
    let size = u32::try_from(VIRTIO_MMIO_SIZE).expect("a page");
    scope(
        table,
        &format!("V{number:03}"),
        &[
            &Name::new("_HID".into(), &"LNRO0005"),
            &Name::new("_UID".into(), &number),
            &Name::new("_CCA".into(), &ONE),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![
                    &Memory32Fixed::new(true, base, size),
                    &Interrupt::new(true, true, false, false, VIRTIO_GSI + number),
                ]),
            ),
        ],
    );
}

fn scope(table: &mut dyn AmlSink, name: &str, children: &[&dyn Aml]) {
    let device = Device::new(Path::new(name), children.to_vec());
    Scope::new("_SB_".into(), vec![&device]).to_aml_bytes(table);
}
