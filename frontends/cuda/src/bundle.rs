//! A program with everything it includes, as bytes: what a translator needs when the program runs.

use crate::module::Module;
use crate::pp::Resolver;
use girih_base::{Diag, Result};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The first bytes of a bundle; the number is the version of the format.
const MAGIC: &[u8; 8] = b"GIRIHCU1";

/// A CUDA file, the files it includes, and the macros defined before its first line.
///
/// As bytes: the magic number, the length of all that follows, and texts, each after its length; lengths are u64, little endian.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The file's path, for messages.
    pub file: String,
    /// Its text.
    pub source: String,
    /// Macros with their values.
    pub defines: Vec<(String, String)>,
    /// Included files by the names they are included by.
    pub includes: BTreeMap<String, String>,
}

impl Bundle {
    /// Bytes before the texts: [`Bundle::length`] needs no more.
    pub const HEADER: usize = 16;

    /// Parses a program and notes what it includes.
    ///
    /// # Errors
    /// As [`Module::parse`].
    pub fn collect(
        source: &str,
        file: &str,
        defines: &[(String, String)],
        resolve: &Resolver<'_>,
    ) -> Result<(Bundle, Module)> {
        let includes = RefCell::new(BTreeMap::new());
        let note = |name: &str, angle: bool| {
            let text = resolve(name, angle)?;
            includes.borrow_mut().insert(name.to_string(), text.clone());
            Some(text)
        };
        let module = Module::parse_with(source, file, defines, &note)?;
        let (file, source, defines) = (file.into(), source.into(), defines.to_vec());
        Ok((Bundle { file, source, defines, includes: includes.take() }, module))
    }

    /// The program, parsed.
    ///
    /// # Errors
    /// As [`Module::parse`].
    pub fn module(&self) -> Result<Module> {
        let resolve = |name: &str, _: bool| self.includes.get(name).cloned();
        Module::parse_with(&self.source, &self.file, &self.defines, &resolve)
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut put = |text: &str| {
            body.extend((text.len() as u64).to_le_bytes());
            body.extend(text.as_bytes());
        };
        put(&self.file);
        put(&self.source);
        put(&self.defines.len().to_string());
        let defines = self.defines.iter().map(|(n, v)| (n, v));
        for (name, value) in defines.chain(&self.includes) {
            put(name);
            put(value);
        }
        [MAGIC.as_slice(), &(body.len() as u64).to_le_bytes(), &body].concat()
    }

    /// The length of a bundle, from its first [`Bundle::HEADER`] bytes.
    ///
    /// # Errors
    /// `U012` when these are not the bytes of a bundle.
    pub fn length(header: &[u8]) -> Result<usize> {
        let length = header.strip_prefix(MAGIC).and_then(|rest| rest.get(..8)?.try_into().ok()).map(u64::from_le_bytes);
        let length = length.and_then(|n| usize::try_from(n).ok()?.checked_add(Bundle::HEADER));
        length.ok_or_else(|| {
            Diag::error("U012", "this is no bundle of CUDA source that this version can read")
                .help("build the program again with `girih nvcc`")
        })
    }

    /// From bytes.
    ///
    /// # Errors
    /// `U012` when they are damaged or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle> {
        let damaged = || {
            Diag::error("U012", "this bundle of CUDA source is damaged")
                .help("build the program again with `girih nvcc`")
        };
        let length = Bundle::length(bytes)?;
        let mut rest = bytes.get(Bundle::HEADER..length).ok_or_else(damaged)?;
        let mut next = || -> Option<String> {
            let (n, tail) = rest.split_at_checked(8)?;
            let n = usize::try_from(u64::from_le_bytes(n.try_into().ok()?)).ok()?;
            let (text, tail) = tail.split_at_checked(n)?;
            rest = tail;
            Some(std::str::from_utf8(text).ok()?.to_string())
        };
        let mut bundle =
            Bundle { file: next().ok_or_else(damaged)?, source: next().ok_or_else(damaged)?, ..Bundle::default() };
        let defines: usize = next().and_then(|n| n.parse().ok()).ok_or_else(damaged)?;
        while let Some(name) = next() {
            let value = next().ok_or_else(damaged)?;
            if bundle.defines.len() < defines {
                bundle.defines.push((name, value));
            } else {
                bundle.includes.insert(name, value);
            }
        }
        if rest.is_empty() && bundle.defines.len() == defines { Ok(bundle) } else { Err(damaged()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bundle() -> Bundle {
        let resolve = |name: &str, _: bool| (name == "scale.h").then(|| "#define S 2.0f\n".to_string());
        let source =
            "#include \"scale.h\"\n#include <math.h>\n__global__ void k(float* x) { x[threadIdx.x] *= S * T; }";
        Bundle::collect(source, "k.cu", &[("T".into(), "3.0f".into())], &resolve).unwrap().0
    }

    #[test]
    fn bytes_hold_the_program_and_what_it_includes() {
        let bundle = bundle();
        let bytes = bundle.to_bytes();
        assert_eq!(Bundle::length(&bytes[..Bundle::HEADER]).unwrap(), bytes.len());
        let back = Bundle::from_bytes(&bytes).unwrap();
        assert_eq!(back, bundle);
        assert_eq!(back.includes.keys().collect::<Vec<_>>(), ["scale.h"]);
        assert_eq!(back.module().unwrap().kernels()[0].name, "k");
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = bundle().to_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(Bundle::from_bytes(&bytes[..cut]).unwrap_err().code, "U012");
        }
        for at in 0..Bundle::HEADER + 8 {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            assert_eq!(Bundle::from_bytes(&bad).unwrap_err().code, "U012", "byte {at}");
        }
    }
}
