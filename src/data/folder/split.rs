//! A training and a validation part of photos, the same for the same names and seed on every machine.

/// Which of `names` are held out: the share `share` of them (rounded, and at least one where there are two), those
/// whose names scatter lowest. Another photo moves few of the others.
pub fn held_out(names: &[&str], share: f64, seed: u64) -> Vec<bool> {
    let wanted = (names.len() as f64 * share).round() as usize;
    let least = usize::from(share > 0.0 && names.len() > 1);
    let count = wanted.max(least).min(names.len().saturating_sub(1));
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&at| (scattered(names[at], seed), names[at]));
    let mut held = vec![false; names.len()];
    order.into_iter().take(count).for_each(|at| held[at] = true);
    held
}

/// FNV-1a over the name, then the finaliser of splitmix64.
fn scattered(name: &str, seed: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = name.bytes().fold(start, mix);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_by_seed() {
        let names: Vec<String> = (0..100).map(|at| format!("photo{at:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let first = held_out(&names, 0.2, 0);
        assert_eq!(first.iter().filter(|held| **held).count(), 20);
        assert_eq!(first, held_out(&names, 0.2, 0));
        let other = held_out(&names, 0.2, 1);
        let shared = first.iter().zip(&other).filter(|(a, b)| **a && **b).count();
        assert!(shared < 12, "seeds give the same split: {shared} of 20");
        let more = held_out(&names[..99], 0.2, 0);
        let moved = first.iter().zip(&more).filter(|(a, b)| a != b).count();
        assert!(moved <= 1, "{moved} photos moved because one came");
    }

    #[test]
    fn small_sets_keep_both_parts() {
        assert_eq!(held_out(&["a", "b"], 0.01, 0).iter().filter(|held| **held).count(), 1);
        assert_eq!(held_out(&["a", "b"], 1.0, 0).iter().filter(|held| **held).count(), 1);
        assert_eq!(held_out(&["a"], 0.5, 0), [false], "a single photo is trained on");
        assert_eq!(held_out(&["a", "b"], 0.0, 0), [false, false]);
        assert!(held_out(&[], 0.5, 0).is_empty());
    }
}
