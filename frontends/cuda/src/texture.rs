//! Textures as a launch gives them: memory, extents, and how texels are read.

use girih_base::{DType, Diag, Result};
use girih_exec::MemRef;

/// How a texel outside of a texture is found, as `cudaTextureAddressMode` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// The texture repeats; as `Clamp` where coordinates are not normalised.
    Wrap,
    /// The nearest texel of the texture.
    Clamp,
    /// The texture repeats, every other time backwards; as `Clamp` where coordinates are not normalised.
    Mirror,
    /// Zero.
    Border,
}

/// How the texels of a texture are stored and read: a kernel is compiled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextureMode {
    /// Type of a channel: u8, i8, u16, i16, u32, i32, f16 or f32.
    pub channel: DType,
    /// Channels of a texel: 1, 2 or 4.
    pub channels: u8,
    /// Texels are interpolated (`cudaFilterModeLinear`); else the one that the coordinate falls into is read.
    pub linear: bool,
    /// Integers are read as fractions of their largest value (`cudaReadModeNormalizedFloat`).
    pub fractions: bool,
    /// Coordinates go from 0 to 1 over the texture; else they count texels.
    pub normalized: bool,
    /// What lies outside, for each axis.
    pub address: [Address; 3],
}

/// Most textures and surfaces of a kernel whose modes a launch can say.
pub const TEXTURES: usize = 8;

impl TextureMode {
    /// Texels of that type, read one by one, with the nearest texel outside.
    pub const fn new(channel: DType, channels: u8) -> TextureMode {
        TextureMode {
            channel,
            channels,
            linear: false,
            fractions: false,
            normalized: false,
            address: [Address::Clamp; 3],
        }
    }

    /// Bytes of a texel.
    pub fn texel(&self) -> u32 {
        self.channel.bits() / 8 * self.channels as u32
    }

    /// Checks what CUDA asks of a texture.
    ///
    /// # Errors
    /// `U007` for a channel type or number of channels that no texture has, fractions of 32-bit integers or floats, interpolated integers.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Diag::error("U007", what));
        let small = matches!(self.channel, DType::U8 | DType::I8 | DType::U16 | DType::I16);
        let float = matches!(self.channel, DType::F16 | DType::F32);
        if !small && !float && !matches!(self.channel, DType::U32 | DType::I32) {
            return wrong(format!("a texture of {}", self.channel));
        }
        if !matches!(self.channels, 1 | 2 | 4) {
            return wrong(format!("a texture of {} channels", self.channels));
        }
        if self.fractions && !small {
            return wrong(format!("texels of {} as fractions", self.channel));
        }
        if self.linear && !self.fractions && !float {
            return wrong("a texture of integers is interpolated".into());
        }
        Ok(())
    }
}

/// A texture or surface of a launch.
#[derive(Clone, Copy, Debug)]
pub struct Texture {
    /// Its texels: rows one after the other, `pitch` texels apart; layers, slices and faces of `height` rows each.
    pub memory: MemRef,
    /// Texels of a row, rows, and slices, layers or faces; 1 where there is no such axis.
    pub extent: [u32; 3],
    /// Texels from row to row.
    pub pitch: u32,
    /// How they are read.
    pub mode: TextureMode,
}

impl Texture {
    /// Width, height, depth and pitch, as kernels take them.
    pub(crate) fn sizes(&self) -> [u32; 4] {
        let [w, h, d] = self.extent;
        [w, h, d, self.pitch]
    }

    /// Checks that the memory holds the texture.
    ///
    /// # Errors
    /// `U007` for extents of zero, rows longer than the pitch, and memory that is too small; and as [`TextureMode::check`].
    pub fn check(&self) -> Result<()> {
        self.mode.check()?;
        let [w, h, d] = self.extent.map(u64::from);
        let rows = h.checked_mul(d).filter(|r| *r > 0 && w > 0);
        let last = rows.and_then(|r| (r - 1).checked_mul(self.pitch as u64)).and_then(|n| n.checked_add(w));
        let bytes = last.and_then(|n| n.checked_mul(self.mode.texel() as u64));
        let fits = bytes.is_some_and(|b| b <= self.memory.bytes) && (self.pitch as u64 >= w || rows == Some(1));
        // Kernels count texels in i32.
        if !fits || last.is_none_or(|n| n > i32::MAX as u64) {
            let text =
                format!("a texture of {w} x {h} x {d} texels, {} apart, in {} bytes", self.pitch, self.memory.bytes);
            return Err(Diag::error("U007", text));
        }
        Ok(())
    }
}
