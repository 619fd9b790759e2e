//! The widest vectors of the processor for code that is written once, in plain loops.
//!
//! The baseline of x86-64 has vectors of 16 bytes and lacks much; [`widest!`] compiles a function three times
//! and chooses when it is called. On other processors, and where neither is there, the plain one runs.

/// Calls an `#[inline(always)]` function with AVX-512 or AVX2 switched on where the processor has them;
/// its generic parameters, if any, come first in brackets.
///
/// What it calls must be `#[inline(always)]` too, else that keeps to the narrowest instructions. All of
/// them compute the same bits, for nothing is fused or reordered.
macro_rules! widest {
    ($([$($generics:tt)*])? $function:ident($($name:ident: $kind:ty),* $(,)?) $(-> $out:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
        fn with_avx512<$($($generics)*)?>($($name: $kind),*) $(-> $out)? {
            $function($($name),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn with_avx2<$($($generics)*)?>($($name: $kind),*) $(-> $out)? {
            $function($($name),*)
        }
        #[cfg(target_arch = "x86_64")]
        {
            if $crate::vectors::has_avx512() {
                // SAFETY: the processor has what `with_avx512` is compiled for, as was just checked.
                unsafe { with_avx512($($name),*) }
            } else if is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2, as was just checked.
                unsafe { with_avx2($($name),*) }
            } else {
                $function($($name),*)
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            $function($($name),*)
        }
    }};
}
pub(crate) use widest;

/// Whether the processor has the parts of AVX-512 that [`widest!`] switches on.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx2")
}

#[cfg(test)]
mod tests {
    /// Every kind of operation that the work here consists of.
    #[inline(always)]
    fn mixture<T: Copy + Into<f32>>(values: &[T]) -> (Vec<u32>, f32) {
        let mixed = |&x: &T| {
            let x = x.into();
            let y = x * 1.000_123 + 0.3;
            (if y > x { y } else { x / y }).to_bits() ^ (x as i32 as u32)
        };
        (values.iter().map(mixed).collect(), values.iter().map(|&x| x.into()).sum())
    }

    #[test]
    fn all_vectors_compute_the_same_bits() {
        let values: Vec<f32> = (0..1000).map(|i| (i as f32 - 500.0) * 0.37).collect();
        let (values, plain) = (&values[..], mixture(&values));
        assert_eq!(widest!([T: Copy + Into<f32>] mixture(values: &[T]) -> (Vec<u32>, f32)), plain);
    }
}
