//! Plain loops compiled for several instruction sets, the widest of which is chosen at run time.

/// A computation in loops that the compiler turns into vector instructions.
///
/// `run` and what it calls must be `#[inline(always)]`, else they keep to the narrowest instructions.
/// All of them compute the same bits, for nothing is fused or reordered.
pub trait Work {
    /// What comes out.
    type Out;

    /// Does the work.
    fn run(self) -> Self::Out;
}

/// Runs `work` with the widest vectors of this processor.
pub fn widest<W: Work>(work: W) -> W::Out {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512dq") && has!("avx512vl") && has!("avx512bw") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { avx512(work) };
        }
        if has!("avx2") {
            // SAFETY: as above.
            return unsafe { avx2(work) };
        }
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
fn avx512<W: Work>(work: W) -> W::Out {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<W: Work>(work: W) -> W::Out {
    work.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of operation that the work here consists of.
    #[derive(Clone, Copy)]
    struct Mixture<'a>(&'a [f32]);

    impl Work for Mixture<'_> {
        type Out = (Vec<u32>, f32);

        #[inline(always)]
        fn run(self) -> Self::Out {
            let mixed = |&x: &f32| {
                let y = x * 1.000_123 + 0.3;
                (if y > x { y } else { x / y }).to_bits() ^ (x as i32 as u32)
            };
            (self.0.iter().map(mixed).collect(), self.0.iter().sum())
        }
    }

    #[test]
    fn all_vectors_compute_the_same_bits() {
        let values: Vec<f32> = (0..1000).map(|i| (i as f32 - 500.0) * 0.37).collect();
        assert_eq!(widest(Mixture(&values)), Mixture(&values).run());
    }
}
