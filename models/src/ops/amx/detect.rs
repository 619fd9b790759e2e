//! Whether there is a matrix unit (Intel AMX) that may be used.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::OnceLock;

/// Whether processor and system have the unit, asked once.
pub fn present() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    *PRESENT.get_or_init(|| {
        let vectors =
            is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw");
        vectors && has_tiles() && permitted()
    })
}

/// Tiles and bf16 products in the processor, tile state enabled by the system.
fn has_tiles() -> bool {
    const PRODUCTS: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    const STATE: u64 = 0b11 << 17;
    const SAVED: u32 = 1 << 27;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & SAVED == 0 {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    // SAFETY: the bit `SAVED` says that the instruction exists.
    let state = unsafe { enabled_state() };
    features & (PRODUCTS | TILES) == PRODUCTS | TILES && state & STATE == STATE
}

/// # Safety
/// The processor has `xgetbv`.
#[target_feature(enable = "xsave")]
unsafe fn enabled_state() -> u64 {
    // SAFETY: the caller's promise; register 0 always exists.
    unsafe { _xgetbv(0) }
}

/// Asks Linux for the right to use tiles, which a process needs once.
fn permitted() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let result: u64;
    // SAFETY: the system call reads two numbers and touches no memory; `syscall` overwrites rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}
