//! Finds out whether a JPEG file is whole.
//!
//! The decoder fills the missing part of a truncated file with grey and reports success; Pillow,
//! and so upstream, refuses such a file.

/// Whether the picture that starts at the first byte reaches its end marker.
///
/// Thumbnails inside segments and data behind the end marker are not looked at.
pub fn reaches_end(jpeg: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xd9;
    let mut at = 2;
    loop {
        let Some((marker, after)) = next_marker(jpeg, at) else { return false };
        if marker == END_OF_IMAGE {
            return true;
        }
        let Some(length) = jpeg.get(after..after + 2) else { return false };
        // Behind a scan's header its coded data follows, which `next_marker` skips.
        at = after + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
}

/// The next marker at or after `at` that is neither a stuffed byte nor a restart marker, and the
/// position behind it.
fn next_marker(jpeg: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        let pair = jpeg.get(at..at + 2)?;
        match pair {
            [0xff, 0x00 | 0x01 | 0xd0..=0xd8] => at += 2,
            [0xff, 0xff] => at += 1,
            [0xff, marker] => return Some((*marker, at + 2)),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = &[
        0xff, 0xd8, // start
        0xff, 0xe1, 0x00, 0x06, 0xff, 0xd9, 1, 2, // a segment with an end marker inside
        0xff, 0xda, 0x00, 0x03, 7, // scan header
        1, 2, 0xff, 0x00, 3, 0xff, 0xd0, 4, // coded data: a stuffed byte, a restart
        0xff, 0xd9, // end
    ];

    #[test]
    fn only_the_whole_file_is_whole() {
        assert!(reaches_end(WHOLE));
        for length in 0..WHOLE.len() {
            assert!(!reaches_end(&WHOLE[..length]), "cut after {length} bytes");
        }
    }

    #[test]
    fn data_behind_the_end_is_ignored() {
        assert!(reaches_end(&[WHOLE, &[0xff, 0xda, 9, 9]].concat()));
    }
}
