//! Image ids of a COCO file for names that have none (INTEROP section 2: VOC's digits without the underscore).

use std::collections::BTreeMap;

/// Ids for image names: the digits of a name of digits and underscores (`2007_000032` is 2007000032) when no other
/// name has the same; the smallest free numbers from 1 for all others, in order.
pub fn image_ids<S: AsRef<str>>(names: &[S]) -> Vec<u64> {
    let digits: Vec<_> = names.iter().map(|name| digits_of(name.as_ref())).collect();
    let mut uses = BTreeMap::new();
    for id in digits.iter().flatten() {
        *uses.entry(*id).or_insert(0) += 1;
    }
    let mut free = (1..).filter(|id| !uses.contains_key(id));
    let mut id_of = |id: Option<u64>| match id {
        Some(id) if uses[&id] == 1 => id,
        _ => free.next().unwrap_or_default(),
    };
    digits.into_iter().map(&mut id_of).collect()
}

/// At most 15 digits, so that JSON readers with f64 numbers keep the id.
fn digits_of(name: &str) -> Option<u64> {
    let allowed = name.chars().all(|c| c.is_ascii_digit() || c == '_');
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let usable = allowed && (1..=15).contains(&digits.len());
    usable.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_from_digits_or_counted() {
        assert_eq!(image_ids(&["2007_000032", "000000000009"]), [2_007_000_032, 9]);
        assert_eq!(
            image_ids(&["b", "2", "1_2", "12", "a", "99999999999999999"]),
            [1, 2, 3, 4, 5, 6]
        );
    }
}
