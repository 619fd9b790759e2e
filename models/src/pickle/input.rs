//! Bytes of a file, taken from the front.

use anyhow::{Context, Result};

/// What has not been read yet.
#[derive(Debug)]
pub struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    /// The next `count` bytes behind a pickle.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let left = self.0.len();
        let split = self.0.split_at_checked(count);
        let (bytes, rest) =
            split.with_context(|| format!("truncated: {count} bytes wanted, {left} left"))?;
        self.0 = rest;
        Ok(bytes)
    }

    /// The next little-endian number of N bytes.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn number<const N: usize>(&mut self) -> Result<u64> {
        let bytes: [u8; N] = self.take()?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// The next N bytes.
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().context("truncated")?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A length of N bytes, and as many bytes as it says.
    pub(super) fn sized<const N: usize>(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.number::<N>()?)?;
        self.bytes(length)
    }

    /// A line, without its end.
    pub(super) fn line(&mut self) -> Result<&'a str> {
        let end = self.0.iter().position(|&byte| byte == b'\n').context("truncated")?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        std::str::from_utf8(line).context("a name that is no text")
    }
}
