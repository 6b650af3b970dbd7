//! Small flat guests on the host's own `/dev/kvm`, which must be there: a
//! machine without KVM fails each of these tests by name.

#![allow(unsafe_code, reason = "guests are assembled into this binary, and found by the assembler's symbols")]

mod cpus;
pub mod fixture;
mod interrupts;
mod life;
mod saved;

/// Assembles a 32-bit guest, loaded at `fixture::BASE` and entered at its first byte by PVH, and names its bytes.
///
/// Local labels start at 2: `0b` and `1b` are also numbers.
macro_rules! guest {
    ($name:ident, $($line:literal)*) => {
        core::arch::global_asm!(
            concat!(".pushsection .rodata.", stringify!($name), ",\"a\",@progbits"),
            ".code32",
            concat!(".globl guest_", stringify!($name), "_start"),
            concat!(".globl guest_", stringify!($name), "_end"),
            concat!("guest_", stringify!($name), "_start:"),
            $($line,)*
            concat!("guest_", stringify!($name), "_end:"),
            ".code64",
            ".popsection",
        );

        fn $name() -> &'static [u8] {
            unsafe extern "C" {
                #[link_name = concat!("guest_", stringify!($name), "_start")]
                static START: u8;
                #[link_name = concat!("guest_", stringify!($name), "_end")]
                static END: u8;
            }
            // SAFETY: both symbols are in one read-only section, with the guest's bytes between them.
            unsafe {
                let (start, end) = (&raw const START, &raw const END);
                core::slice::from_raw_parts(start, usize::try_from(end.offset_from(start)).expect("end is after start"))
            }
        }
    };
}
pub(crate) use guest;
