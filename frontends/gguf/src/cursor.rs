//! A reader over bytes that cannot run past their end: every failure says at which byte it happened.

use girih_base::{Diag, Result};
use std::ops::Range;

/// A position in the bytes of a GGUF file. All integers are little-endian.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    /// Offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The byte range of the next `len` bytes, skipped over; `what` names them in the error.
    pub(crate) fn skip(&mut self, len: u64, what: &str) -> Result<Range<usize>> {
        let end = usize::try_from(len).ok().and_then(|n| self.at.checked_add(n)).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(Diag::error("M004", format!("the file ends inside {what}"))
                .note(format!("{what} starts at byte {} and takes {len} bytes", self.at))
                .note(format!("the file has {} bytes", self.bytes.len()))
                .help("the file is truncated or damaged; download it again and compare its size"));
        };
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let range = self.skip(N as u64, what)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[range]);
        Ok(out)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A string: u64 length, then UTF-8.
    pub(crate) fn str(&mut self, what: &str) -> Result<&'a str> {
        let start = self.at;
        let len = self.u64(what)?;
        let range = self.skip(len, what)?;
        std::str::from_utf8(&self.bytes[range]).map_err(|e| {
            Diag::error("M005", format!("{what} is not UTF-8"))
                .note(format!("the string at byte {start} breaks off after {} valid bytes", e.valid_up_to()))
                .help("GGUF strings are UTF-8; the file is damaged or was written by a faulty converter")
        })
    }

    /// A count of things that take at least `least` bytes each, refused when the file cannot hold them.
    pub(crate) fn count(&mut self, least: usize, what: &str) -> Result<usize> {
        let start = self.at;
        let n = self.u64(what)?;
        match usize::try_from(n).ok().filter(|n| n.checked_mul(least).is_some_and(|bytes| bytes <= self.left())) {
            Some(n) => Ok(n),
            None => Err(Diag::error("M004", format!("{what} is {n}, more than the file can hold"))
                .note(format!("the count is at byte {start}; {} bytes follow it", self.left()))
                .help("the file is truncated or damaged; download it again and compare its size")),
        }
    }
}
