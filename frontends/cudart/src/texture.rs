//! Texture and surface objects: numbers that stand for memory, extents and a mode.

use crate::code::{Code, Fault, Outcome};
use girih_base::{DType, Diag};
use girih_cuda::{Address, TextureMode};
use std::collections::BTreeMap;

/// What a texture or surface object stands for.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// Address of the first texel.
    pub address: u64,
    /// Texels of a row, rows, and slices or layers.
    pub extent: [u32; 3],
    /// Texels from row to row.
    pub pitch: u32,
    /// How texels are read.
    pub mode: TextureMode,
}

/// A description as the headers pass it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Described {
    /// Address of the first texel.
    pub address: u64,
    /// Texels of a row, rows, and slices or layers.
    pub extent: [u32; 3],
    /// Bytes from row to row.
    pub pitch: u32,
    /// `cudaChannelFormatKind`: 0 signed, 1 unsigned, 2 float.
    pub kind: u32,
    /// Bits of a channel.
    pub bits: u32,
    /// Channels of a texel.
    pub channels: u32,
    /// `cudaFilterModeLinear`, `cudaReadModeNormalizedFloat`, normalised coordinates.
    pub flags: [u32; 3],
    /// `cudaTextureAddressMode` of each axis.
    pub address_mode: [u32; 3],
}

/// The objects given out.
#[derive(Default)]
pub struct Objects {
    next: u64,
    by_handle: BTreeMap<u64, Object>,
}

impl Objects {
    /// An object.
    ///
    /// # Errors
    /// `cudaErrorInvalidValue` for a description that no texture fits.
    pub fn add(&mut self, d: Described) -> Outcome<u64> {
        let channel = match (d.kind, d.bits) {
            (0, 8) => DType::I8,
            (0, 16) => DType::I16,
            (0, 32) => DType::I32,
            (1, 8) => DType::U8,
            (1, 16) => DType::U16,
            (1, 32) => DType::U32,
            (2, 16) => DType::F16,
            (2, 32) => DType::F32,
            (kind, bits) => {
                let text = format!("a texture whose channels have {bits} bits of kind {kind}");
                return Err(Fault::said(Code::NOT_SUPPORTED, Diag::error("N003", text)));
            }
        };
        let [linear, fractions, normalized] = d.flags.map(|f| f != 0);
        let address = d.address_mode.map(|m| match m {
            0 => Address::Wrap,
            1 => Address::Clamp,
            2 => Address::Mirror,
            _ => Address::Border,
        });
        let mode =
            TextureMode { linear, fractions, normalized, address, ..TextureMode::new(channel, d.channels as u8) };
        mode.check().map_err(|e| Fault::said(Code::INVALID_VALUE, e))?;
        let texel = mode.texel();
        if !d.pitch.is_multiple_of(texel) {
            return Err(Code::INVALID_VALUE.into());
        }
        self.next += 1;
        let object = Object { address: d.address, extent: d.extent, pitch: d.pitch / texel, mode };
        self.by_handle.insert(self.next, object);
        Ok(self.next)
    }

    /// Gives an object back.
    ///
    /// # Errors
    /// `cudaErrorInvalidValue` for a number that stands for none.
    pub fn remove(&mut self, handle: u64) -> Outcome<()> {
        self.by_handle.remove(&handle).map(|_| ()).ok_or(Code::INVALID_VALUE.into())
    }

    /// What a number stands for.
    pub fn get(&self, handle: u64) -> Option<Object> {
        self.by_handle.get(&handle).copied()
    }
}
