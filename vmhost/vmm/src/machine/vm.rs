//! The VM as KVM has it: memory slots, interrupt controllers, lines and doorbells.
#![allow(unsafe_code, reason = "KVM is given host addresses of guest memory")]

use kvm_bindings::{
    KVM_API_VERSION, KVM_IOAPIC_NUM_PINS, KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE, KVM_MAX_CPUID_ENTRIES, KVM_MEM_LOG_DIRTY_PAGES, KVM_PIT_SPEAKER_DUMMY, KvmIrqRouting,
    kvm_clock_data, kvm_cpuid_entry2, kvm_irq_routing_entry, kvm_irq_routing_entry__bindgen_ty_1,
    kvm_irq_routing_irqchip, kvm_irqchip, kvm_pit_config, kvm_pit_state2, kvm_userspace_memory_region,
};
use kvm_ioctls::{Cap, Error as Errno, IoEventAddress, Kvm, VcpuFd, VmFd};
use serde::{Deserialize, Serialize};
use vm_memory::{GuestMemoryBackend as _, GuestMemoryRegion as _, MemoryRegionAddress};
use vmm_sys_util::eventfd::EventFd;

use crate::cpu::state::StateSource;
use crate::cpu::xsave;
use crate::memory::GuestMemory;
use crate::memory::layout::{KVM_IDENTITY_MAP, KVM_TSS};

/// What KVM must be able to do, by the names of its documentation.
const NEEDED: &[(Cap, &str)] = &[
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::SetTssAddr, "KVM_CAP_SET_TSS_ADDR"),
    (Cap::SetIdentityMapAddr, "KVM_CAP_SET_IDENTITY_MAP_ADDR"),
    (Cap::Irqchip, "KVM_CAP_IRQCHIP"),
    (Cap::Pit2, "KVM_CAP_PIT2"),
    (Cap::PitState2, "KVM_CAP_PIT_STATE2"),
    (Cap::IrqRouting, "KVM_CAP_IRQ_ROUTING"),
    (Cap::Irqfd, "KVM_CAP_IRQFD"),
    (Cap::Ioeventfd, "KVM_CAP_IOEVENTFD"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
    (Cap::ExtCpuid, "KVM_CAP_EXT_CPUID"),
    (Cap::MpState, "KVM_CAP_MP_STATE"),
    (Cap::VcpuEvents, "KVM_CAP_VCPU_EVENTS"),
    (Cap::Debugregs, "KVM_CAP_DEBUGREGS"),
    (Cap::Xsave, "KVM_CAP_XSAVE"),
    (Cap::Xcrs, "KVM_CAP_XCRS"),
    (Cap::AdjustClock, "KVM_CAP_ADJUST_CLOCK"),
];

/// KVM doesn't do what it should.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// Another interface than the one that has been stable since 2007.
    #[error("KVM has API version {0}, {KVM_API_VERSION} is needed")]
    Version(i32),
    /// It is too old, or built without something.
    #[error("this host's KVM lacks {0}")]
    Capability(&'static str),
    /// An ioctl has failed.
    #[error("{step}: {source}")]
    Ioctl {
        /// Which, and on what.
        step: String,
        /// What the kernel says.
        source: std::io::Error,
    },
}

fn failed(step: impl Into<String>) -> impl FnOnce(Errno) -> KvmError {
    move |error| KvmError::Ioctl { step: step.into(), source: error.into() }
}

/// What a VM is beside its memory and its vCPUs.
#[derive(Clone, Serialize, Deserialize)]
pub struct VmState {
    irqchips: [kvm_irqchip; 3],
    pit: kvm_pit_state2,
    clock: kvm_clock_data,
}

/// A VM of KVM. It keeps a handle on guest memory, which must live as long as the slots.
pub struct Vm {
    kvm: Kvm,
    fd: VmFd,
    memory: GuestMemory,
}

impl Vm {
    /// Makes a VM with `memory`, interrupt controllers and a timer, but no vCPUs.
    ///
    /// # Errors
    /// What KVM lacks or refuses.
    pub fn new(kvm: Kvm, memory: GuestMemory) -> Result<Self, KvmError> {
        match kvm.get_api_version() {
            version if version == KVM_API_VERSION as i32 => {}
            version => return Err(KvmError::Version(version)),
        }
        if let Some((_, name)) = NEEDED.iter().find(|(cap, _)| !kvm.check_extension(*cap)) {
            return Err(KvmError::Capability(name));
        }
        let fd = kvm.create_vm().map_err(failed("KVM_CREATE_VM"))?;
        fd.set_identity_map_address(KVM_IDENTITY_MAP).map_err(failed("KVM_SET_IDENTITY_MAP_ADDR"))?;
        fd.set_tss_address(KVM_TSS as usize).map_err(failed("KVM_SET_TSS_ADDR"))?;
        fd.create_irq_chip().map_err(failed("KVM_CREATE_IRQCHIP"))?;
        // KVM then also answers port 0x61, which kernels read to calibrate timers.
        let pit = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..kvm_pit_config::default() };
        fd.create_pit2(pit).map_err(failed("KVM_CREATE_PIT2"))?;
        let vm = Self { kvm, fd, memory };
        vm.route_lines()?;
        vm.set_slots(0)?;
        Ok(vm)
    }

    /// Each line goes to the pin of its number on the I/O APIC, and nowhere else.
    ///
    /// By default KVM routes the first 16 to the PIC as well, which a kernel with
    /// reduced-hardware ACPI never sets up: it would deliver them as exceptions.
    fn route_lines(&self) -> Result<(), KvmError> {
        let route = |pin| kvm_irq_routing_entry {
            gsi: pin,
            type_: KVM_IRQ_ROUTING_IRQCHIP,
            u: kvm_irq_routing_entry__bindgen_ty_1 {
                irqchip: kvm_irq_routing_irqchip { irqchip: KVM_IRQCHIP_IOAPIC, pin },
            },
            ..kvm_irq_routing_entry::default()
        };
        let routes: Vec<_> = (0..KVM_IOAPIC_NUM_PINS).map(route).collect();
        let table =
            KvmIrqRouting::from_entries(&routes).map_err(|_| failed("interrupt routes")(Errno::new(libc::E2BIG)))?;
        self.fd.set_gsi_routing(&table).map_err(failed("KVM_SET_GSI_ROUTING"))
    }

    /// Makes vCPU `id`.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn create_vcpu(&self, id: u8) -> Result<VcpuFd, KvmError> {
        self.fd.create_vcpu(u64::from(id)).map_err(failed(format!("KVM_CREATE_VCPU {id}")))
    }

    /// What this host's KVM can show of a CPU.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn supported_cpuid(&self) -> Result<Vec<kvm_cpuid_entry2>, KvmError> {
        let table = self.kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(failed("KVM_GET_SUPPORTED_CPUID"))?;
        Ok(table.as_slice().to_vec())
    }

    /// Whether the local APIC's timer can fire at a TSC value.
    pub fn has_tsc_deadline(&self) -> bool {
        self.kvm.check_extension(Cap::TscDeadlineTimer)
    }

    /// What a vCPU's state is read from.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn state_source(&self) -> Result<StateSource, KvmError> {
        let msrs = self.kvm.get_msr_index_list().map_err(failed("KVM_GET_MSR_INDEX_LIST"))?;
        Ok(StateSource { xsave_words: xsave::size(&self.fd), msrs: msrs.as_slice().to_vec() })
    }

    /// Lets an eventfd raise an edge on an interrupt line.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn connect_line(&self, line: &EventFd, gsi: u32) -> Result<(), KvmError> {
        self.fd.register_irqfd(line, gsi).map_err(failed(format!("KVM_IRQFD {gsi}")))
    }

    /// Lets a guest's write of `value` (32 bits) at `address` ring an eventfd instead of leaving the guest.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn connect_doorbell(&self, bell: &EventFd, address: u64, value: u32) -> Result<(), KvmError> {
        self.fd
            .register_ioevent(bell, &IoEventAddress::Mmio(address), value)
            .map_err(failed(format!("KVM_IOEVENTFD {address:#x} = {value}")))
    }

    /// From now on KVM notes which pages vCPUs write.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn start_dirty_log(&self) -> Result<(), KvmError> {
        self.set_slots(KVM_MEM_LOG_DIRTY_PAGES)
    }

    /// No more.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn stop_dirty_log(&self) -> Result<(), KvmError> {
        self.set_slots(0)
    }

    /// The pages written since the last call, a bit a page, for each region of memory; starts anew.
    ///
    /// # Errors
    /// When KVM refuses: also when the log was never started.
    pub fn take_dirty_log(&self) -> Result<Vec<(usize, Vec<u64>)>, KvmError> {
        let log = |(index, region): (usize, &vm_memory::GuestRegionMmap<_>)| {
            let bits = self.fd.get_dirty_log(index as u32, region.len() as usize);
            bits.map(|bits| (index, bits)).map_err(failed(format!("KVM_GET_DIRTY_LOG {index}")))
        };
        self.memory.iter().enumerate().map(log).collect()
    }

    /// Reads what isn't a vCPU's. All vCPUs are paused.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn save(&self) -> Result<VmState, KvmError> {
        let mut irqchips = [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC]
            .map(|chip_id| kvm_irqchip { chip_id, ..kvm_irqchip::default() });
        for chip in &mut irqchips {
            self.fd.get_irqchip(chip).map_err(failed("KVM_GET_IRQCHIP"))?;
        }
        let pit = self.fd.get_pit2().map_err(failed("KVM_GET_PIT2"))?;
        let mut clock = self.fd.get_clock().map_err(failed("KVM_GET_CLOCK"))?;
        // The guest's clock goes on where it stopped: the flags would ask KVM to add the time between.
        clock.flags = 0;
        Ok(VmState { irqchips, pit, clock })
    }

    /// Puts it back, after the vCPUs and before devices raise lines.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn restore(&self, state: &VmState) -> Result<(), KvmError> {
        for chip in &state.irqchips {
            self.fd.set_irqchip(chip).map_err(failed(format!("KVM_SET_IRQCHIP {}", chip.chip_id)))?;
        }
        self.fd.set_pit2(&state.pit).map_err(failed("KVM_SET_PIT2"))?;
        self.fd.set_clock(&state.clock).map_err(failed("KVM_SET_CLOCK"))
    }

    fn set_slots(&self, flags: u32) -> Result<(), KvmError> {
        for (slot, region) in (0..).zip(self.memory.iter()) {
            let start = region.start_addr().0;
            let host = region.get_host_address(MemoryRegionAddress(0)).map_err(|error| KvmError::Ioctl {
                step: format!("host address of memory at {start:#x}"),
                source: std::io::Error::other(error),
            })?;
            let slot = kvm_userspace_memory_region {
                slot,
                flags,
                guest_phys_addr: start,
                memory_size: region.len(),
                userspace_addr: host as u64,
            };
            // SAFETY: the range is a mapping of exactly this size, and `self.memory` keeps it as long as the VM.
            unsafe { self.fd.set_user_memory_region(slot) }
                .map_err(failed(format!("KVM_SET_USER_MEMORY_REGION at {start:#x}")))?;
        }
        Ok(())
    }
}
