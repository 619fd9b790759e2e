//! The widest vectors of the processor for code that is written once, in plain loops.
//!
//! The baseline of x86-64 has vectors of 16 bytes and lacks much; [`widest!`] compiles a function three times
//! and chooses when it is called. On other processors, and where neither is there, the plain one runs.

/// Calls an `#[inline(always)]` function with AVX-512 or AVX2 switched on where the processor has them.
macro_rules! widest {
    ($function:ident($($name:ident: $kind:ty),* $(,)?) $(-> $out:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
        fn with_avx512($($name: $kind),*) $(-> $out)? {
            $function($($name),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn with_avx2($($name: $kind),*) $(-> $out)? {
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
