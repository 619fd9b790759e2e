//! Item names as HDF5 link names: `/`, control characters, `%` and a leading dot are percent-escaped,
//! so that every data set's names fit and usual names stay as they are.

use anyhow::{Context, Result, ensure};

/// Longest name in bytes, after escaping.
const LONGEST: usize = 1024;

/// The link name of an item.
///
/// # Errors
/// An empty name, or one longer than 1024 bytes.
pub(super) fn escape(name: &str) -> Result<String> {
    ensure!(!name.is_empty(), "an item without a name can't be stored");
    let mut link = String::with_capacity(name.len());
    for (position, letter) in name.char_indices() {
        let leading_dot = position == 0 && letter == '.';
        if letter == '/' || letter == '%' || letter.is_ascii_control() || leading_dot {
            link.push_str(&format!("%{:02X}", u32::from(letter)));
        } else {
            link.push(letter);
        }
    }
    ensure!(link.len() <= LONGEST, "the name of item `{name:.60}...` is longer than 1024 bytes");
    Ok(link)
}

/// The item of a link name.
///
/// # Errors
/// A link name that [`escape`] never writes.
pub(super) fn unescape(link: &str) -> Result<String> {
    let invalid = || format!("`{link}` is not an item name");
    let mut bytes = Vec::with_capacity(link.len());
    let mut parts = link.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let code = part.get(..2).with_context(invalid)?;
        bytes.push(u8::from_str_radix(code, 16).with_context(invalid)?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    let name = String::from_utf8(bytes).with_context(invalid)?;
    ensure!(escape(&name)? == link, "`{link}` is not an item name");
    Ok(name)
}

/// Checks the name of a map or text: it is written as it is.
///
/// # Errors
/// An empty or long name, a slash, a control character, a leading dot, the reserved `crc32`.
pub(super) fn check_key(key: &str) -> Result<()> {
    let plain = !key.is_empty() && key.len() <= LONGEST && key != super::hdf::CHECKSUM;
    let valid = plain && escape(key)? == key;
    ensure!(valid, "`{key}` can't be the name of a map or text in the store");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_survive() {
        let names = ["2007_000032", "a/b/c", ".", "..", "100%", "%2F", "Käse 犬", "a\tb\0c", ".h"];
        for name in names {
            let link = escape(name).unwrap();
            assert!(!link.contains(['/', '\0', '\t']) && !link.starts_with('.'), "{link}");
            assert_eq!(unescape(&link).unwrap(), name);
        }
        assert_eq!(escape("2007_000032").unwrap(), "2007_000032");
    }

    #[test]
    fn foreign_names_are_refused() {
        for link in ["%", "%2", "%zz", "%41", "%FF", "%é", ".a", ""] {
            assert!(unescape(link).is_err(), "{link}");
        }
        assert!(escape("").is_err());
        assert!(escape(&"/".repeat(400)).is_err());
    }

    #[test]
    fn keys_are_plain() {
        check_key("high_res").unwrap();
        for key in ["", "a/b", ".", "crc32", "a\0"] {
            assert!(check_key(key).is_err(), "{key}");
        }
    }
}
