//! The processor's matrix unit (Intel AMX): 32 x 32 blocks of a product, f32 results from f32 operands
//! that were split into sums of bf16 numbers.
//!
//! The unit multiplies bf16 alone. The sum of two bf16 numbers is an f32 number to within 2^-17; of the four
//! products of two such sums the three largest give results to within 4e-6 of their size (Henry, Tang,
//! Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision
//! computations"), a hundred times closer than TF32, the usual choice on a GPU.

use std::arch::asm;

use super::detect::present;

/// Rows and columns of a block, and the depth of a step.
pub const BLOCK: usize = 32;
/// Lines of a block of results: four tiles of 16 lines.
pub const BLOCK_LINES: usize = 4 * 16;

/// One row of a tile of operands.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Line(pub [u16; 32]);

/// One row of a tile of results.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Sums(pub [f32; 16]);

/// The unit's registers: eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Lines of a panel's step: two tiles of 16 lines, for each of the two parts of the numbers.
pub const STEP_LINES: usize = 2 * 16 * 2;

/// Blocks `sums`, by column panel and then by row panel, become (`fresh`) or are increased by the product of
/// the row panels `a` and the column panels `b`, each of `steps` steps of numbers.
///
/// # Panics
/// Where the lengths do not fit together, or without [`present`].
pub fn multiply(a: &[Line], b: &[Line], steps: usize, sums: &mut [Sums], fresh: bool) {
    let panel = steps * STEP_LINES;
    assert!(present() && steps > 0, "no matrix unit, or nothing to multiply");
    let (row_panels, column_panels) = (a.len() / panel, b.len() / panel);
    assert_eq!((a.len() % panel, b.len() % panel), (0, 0), "whole panels");
    assert_eq!(sums.len(), row_panels * column_panels * BLOCK_LINES, "a block for each two panels");
    // SAFETY: the unit is there; the configuration is valid and gone when this function returns.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack)) };
    let blocks = b.chunks_exact(panel).flat_map(|b| a.chunks_exact(panel).map(move |a| (a, b)));
    for (sums, (a, b)) in sums.chunks_exact_mut(BLOCK_LINES).zip(blocks) {
        // SAFETY: the unit is configured, both panels have `steps` steps, `sums` is a block.
        unsafe { block(steps, a.as_ptr(), b.as_ptr(), sums.as_mut_ptr(), fresh) };
    }
    // SAFETY: as above.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// One block: tiles 0 to 3 sum, 4 and 5 hold rows, 6 and 7 columns. The parts meet in an order in which
/// every two neighbours share an operand, the smallest products first where that is possible.
///
/// # Safety
/// The unit is configured; `a` and `b` have `steps` steps, at least one; `sums` is a block.
unsafe fn block(steps: usize, a: *const Line, b: *const Line, sums: *mut Sums, fresh: bool) {
    // SAFETY: the caller's promise; every tile is 16 lines of 64 bytes, one after the other.
    unsafe {
        if fresh {
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3");
        } else {
            asm!(
                "tileloadd tmm0, [{c} + {line}]",
                "tileloadd tmm1, [{c} + {line} + 1024]",
                "tileloadd tmm2, [{c} + {line} + 2048]",
                "tileloadd tmm3, [{c} + {line} + 3072]",
                c = in(reg) sums,
                line = in(reg) 64usize,
                options(nostack, readonly),
            );
        }
        products(steps, a, b);
        asm!(
            "tilestored [{c} + {line}], tmm0",
            "tilestored [{c} + {line} + 1024], tmm1",
            "tilestored [{c} + {line} + 2048], tmm2",
            "tilestored [{c} + {line} + 3072], tmm3",
            c = in(reg) sums,
            line = in(reg) 64usize,
            options(nostack),
        );
    }
}

/// The steps of a block: second part of the rows by first of the columns, first by first, first by second.
///
/// # Safety
/// As [`block`], within which this is called.
unsafe fn products(steps: usize, a: *const Line, b: *const Line) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "2:",
            "tileloadd tmm6, [{b} + {line}]",
            "tileloadd tmm4, [{a} + {line} + 2048]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{b} + {line} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a} + {line} + 3072]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm4, [{a} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a} + {line} + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm6, [{b} + {line} + 2048]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tileloadd tmm7, [{b} + {line} + 3072]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 4096",
            "add {b}, 4096",
            "dec {steps}",
            "jnz 2b",
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            steps = inout(reg) steps => _,
            line = in(reg) 64usize,
            options(nostack, readonly),
        );
    }
}
