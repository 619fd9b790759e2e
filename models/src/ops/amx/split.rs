//! Operands of the matrix unit: f32 numbers as sums of two bf16 numbers, in the order in which tiles are read.
//!
//! A panel is 32 rows of the left or 32 columns of the right operand; it is a sequence of steps of 32 along
//! the depth; a step holds for each part two tiles. A line of a left tile is 32 numbers of one row; a line
//! of a right tile is 16 columns, two neighbours along the depth of each. What lies outside is 0.

use std::arch::x86_64::*;

use super::tiles::{BLOCK, Line, STEP_LINES};

/// A matrix whose rows are contiguous.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    /// From one row to the next.
    pub stride: usize,
    pub rows: usize,
    pub columns: usize,
}

/// Lines of `rows` rows (or columns) of a depth.
pub const fn lines(rows: usize, depth: usize) -> usize {
    rows.div_ceil(BLOCK) * depth.div_ceil(BLOCK) * STEP_LINES
}

/// Two halves of 16 numbers.
type Pair = [__m512; 2];

impl Rows<'_> {
    /// 16 numbers of a row from a column on, 0 where there are none.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn sixteen(&self, row: usize, column: usize) -> __m512 {
        if row >= self.rows || column >= self.columns {
            return _mm512_setzero_ps();
        }
        let values = &self.values[row * self.stride..][column..self.columns];
        let mask = if values.len() >= 16 { !0 } else { (1u16 << values.len()) - 1 };
        // SAFETY: the mask covers values of the slice alone.
        unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr()) }
    }

    /// The left operand: the rows are its rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub fn left(&self, out: &mut [Line]) {
        let steps = self.columns.div_ceil(BLOCK);
        for (i, out) in out.chunks_exact_mut(STEP_LINES).enumerate() {
            let (panel, column) = (i / steps, i % steps * BLOCK);
            for line in 0..BLOCK {
                let row = panel * BLOCK + line;
                let pair = [self.sixteen(row, column), self.sixteen(row, column + 16)];
                for (part, pair) in side_by_side(pair).into_iter().enumerate() {
                    store(&mut out[part * BLOCK + line], pair);
                }
            }
        }
    }

    /// The right operand: the columns are its columns, the rows go along the depth.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub fn right(&self, out: &mut [Line]) {
        let (steps, tiles) = (self.rows.div_ceil(BLOCK), self.columns.div_ceil(16));
        let whole = tiles / 2 * steps * STEP_LINES;
        out[whole..].fill(Line([0; 32]));
        for depth in (0..steps * BLOCK).step_by(2) {
            let (step, line) = (depth / BLOCK, depth % BLOCK / 2);
            for tile in 0..tiles {
                let column = tile * 16;
                let pair = [self.sixteen(depth, column), self.sixteen(depth + 1, column)];
                let first = (tile / 2 * steps + step) * STEP_LINES + tile % 2 * 16 + line;
                for (part, pair) in interleaved(pair).into_iter().enumerate() {
                    store(&mut out[first + part * BLOCK], pair);
                }
            }
        }
    }

    /// The right operand, turned: the rows are its columns, the columns go along the depth.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub fn right_turned(&self, out: &mut [Line]) {
        let steps = self.columns.div_ceil(BLOCK);
        for (i, out) in out.chunks_exact_mut(STEP_LINES).enumerate() {
            let (panel, column) = (i / steps, i % steps * BLOCK);
            for tile in 0..2 {
                let mut parts = [[_mm512_setzero_si512(); 16]; 2];
                for line in 0..16 {
                    let row = panel * BLOCK + tile * 16 + line;
                    let pair = [self.sixteen(row, column), self.sixteen(row, column + 16)];
                    for (part, pair) in parts.iter_mut().zip(side_by_side(pair)) {
                        part[line] = pair;
                    }
                }
                for (part, lines) in parts.into_iter().enumerate() {
                    let out = &mut out[part * BLOCK + tile * 16..][..16];
                    let turned = turned(lines);
                    out.iter_mut().zip(turned).for_each(|(out, line)| store(out, line));
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(line: &mut Line, values: __m512i) {
    // SAFETY: a line is 64 aligned bytes.
    unsafe { _mm512_store_si512((&raw mut line.0).cast(), values) };
}

/// The nearest bf16 numbers: those of the first half, then those of the second.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn rounded([first, second]: Pair) -> __m512i {
    // SAFETY: both types are 64 bytes without any invalid pattern.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(second, first)) }
}

/// The parts of 32 numbers, in their order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn side_by_side(mut rest: Pair) -> [__m512i; 2] {
    let mut parts = [_mm512_setzero_si512(); 2];
    for part in &mut parts {
        *part = rounded(rest);
        let halves = [_mm512_castsi512_si256(*part), _mm512_extracti64x4_epi64::<1>(*part)];
        for (rest, half) in rest.iter_mut().zip(halves) {
            let value = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half));
            *rest = _mm512_sub_ps(*rest, _mm512_castsi512_ps(value));
        }
    }
    parts
}

/// The parts of two rows, their numbers taken in turn.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn interleaved([mut first, mut second]: Pair) -> [__m512i; 2] {
    // SAFETY: a line is 64 aligned bytes.
    let in_turn = unsafe { _mm512_load_si512((&raw const IN_TURN.0).cast()) };
    let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
    let mut parts = [_mm512_setzero_si512(); 2];
    for part in &mut parts {
        *part = _mm512_permutexvar_epi16(in_turn, rounded([first, second]));
        let values = [_mm512_slli_epi32::<16>(*part), _mm512_and_si512(*part, upper)];
        first = _mm512_sub_ps(first, _mm512_castsi512_ps(values[0]));
        second = _mm512_sub_ps(second, _mm512_castsi512_ps(values[1]));
    }
    parts
}

/// 0, 16, 1, 17 and so on.
static IN_TURN: Line = {
    let mut order = [0; 32];
    let mut i = 0;
    while i < 32 {
        order[i] = (i / 2 + i % 2 * 16) as u16;
        i += 1;
    }
    Line(order)
};

/// The transpose of 16 x 16 numbers of 32 bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn turned(r: [__m512i; 16]) -> [__m512i; 16] {
    let zero = _mm512_setzero_si512();
    let (mut a, mut b) = ([zero; 16], [zero; 16]);
    for i in (0..16).step_by(2) {
        a[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for i in (0..16).step_by(4) {
        for j in 0..2 {
            b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
            b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
        }
    }
    for i in 0..4 {
        for half in 0..2 {
            let (low, high) = (b[8 * half + i], b[8 * half + i + 4]);
            a[8 * half + i] = _mm512_shuffle_i32x4::<0x88>(low, high);
            a[8 * half + i + 4] = _mm512_shuffle_i32x4::<0xdd>(low, high);
        }
    }
    for i in 0..8 {
        b[i] = _mm512_shuffle_i32x4::<0x88>(a[i], a[i + 8]);
        b[i + 8] = _mm512_shuffle_i32x4::<0xdd>(a[i], a[i + 8]);
    }
    b
}
