//! Textures and surfaces: a texture is a buffer with its extents. Addresses and weights are functions in CUDA of the built-in
//! header `texture.cuh`; here they are put together for the texture's mode.

mod sample;
mod surface;

use super::call::Operand;
use super::value::{Base, Ix, Place, Ptr, Tv, Val};
use super::*;
use crate::ast::TemplateArg;
use crate::texture::TextureMode;
use girih_base::DType;

/// A texture or surface that a kernel takes.
pub(crate) struct Image {
    space: Space,
    /// Unknown until a first read says what its texels are.
    mode: Option<TextureMode>,
    /// Uniforms of width, height, depth and pitch.
    extents: [Arc<str>; 4],
    /// Uniform of the texels before its first one in the buffer.
    start: Option<Arc<str>>,
}

/// What a function reads or writes.
#[derive(Clone, Copy)]
struct Access {
    /// Axes that have coordinates.
    dims: usize,
    layered: bool,
    cube: bool,
    what: What,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Sample,
    /// By whole index, from linear memory.
    Fetch,
    /// One channel of the four texels around.
    Gather,
    Read,
    Write,
}

/// The function of that name.
fn access(id: &str) -> Option<Access> {
    let surface = id.starts_with("surf");
    let rest = id.strip_prefix("tex").or(id.strip_prefix("surf"))?;
    let (dims, cube, rest) = match rest.strip_prefix("Cubemap") {
        Some(rest) => (2, true, rest),
        None => {
            let dims = rest.chars().next()?.to_digit(10).filter(|n| (1..=3).contains(n))? as usize;
            (dims, false, rest[1..].strip_prefix('D')?)
        }
    };
    let (layered, rest) = match rest.strip_prefix("Layered") {
        Some(rest) if dims < 3 => (true, rest),
        _ => (false, rest),
    };
    let what = match (surface, rest) {
        (true, "read") => What::Read,
        (true, "write") => What::Write,
        (false, "" | "Lod" | "Grad") => What::Sample,
        (false, "fetch") if dims == 1 && !layered => What::Fetch,
        (false, "gather") if dims == 2 && !layered && !cube => What::Gather,
        _ => return None,
    };
    Some(Access { dims, layered, cube, what })
}

/// Whether a texture or surface function has that name.
pub(crate) fn known(id: &str) -> bool {
    access(id).is_some()
}

/// Texels that a read of such values expects where the launch does not say.
fn guess(s: Scalar, lanes: u8) -> Option<TextureMode> {
    let channel = match s {
        Scalar::UChar => DType::U8,
        Scalar::Char | Scalar::SChar => DType::I8,
        Scalar::UShort => DType::U16,
        Scalar::Short => DType::I16,
        Scalar::UInt => DType::U32,
        Scalar::Int => DType::I32,
        Scalar::Half => DType::F16,
        Scalar::Float => DType::F32,
        _ => return None,
    };
    Some(TextureMode::new(channel, lanes.next_power_of_two()))
}

fn channel(mode: &TextureMode) -> Scalar {
    match mode.channel {
        DType::U8 => Scalar::UChar,
        DType::I8 => Scalar::SChar,
        DType::U16 => Scalar::UShort,
        DType::I16 => Scalar::Short,
        DType::U32 => Scalar::UInt,
        DType::I32 => Scalar::Int,
        DType::F16 => Scalar::Half,
        _ => Scalar::Float,
    }
}

impl Lowerer<'_> {
    /// A parameter that is a texture or surface object.
    pub fn texture_parameter(&mut self, name: &str, parameter: usize, offset: u32) -> R<Val> {
        let n = self.textures.len();
        let given = self.shape.textures.get(n).copied().flatten();
        if let Some(mode) = given {
            mode.check()?;
        }
        let mode = given.or(self.choices.textures.get(&n).copied());
        let (pointers, number) = (self.shape.pointers, self.pointers.len());
        let before = self.pointers.get(pointers.first(number)).copied().flatten();
        let space = before.unwrap_or_else(|| self.texture_buffer(name, mode, !pointers.shared(number)));
        self.pointers.push(Some(space));
        let extents = ["width", "height", "depth", "pitch"].map(|e| self.unique(&format!("{name}_{e}")));
        let mode_or = mode.unwrap_or(TextureMode::new(DType::F32, 1));
        self.args.push(Argument::Texture {
            name: name.into(),
            extents: extents.clone().map(|e| e.to_string()),
            parameter,
            offset,
            mode: mode_or,
            shared: before.is_some(),
        });
        let start = pointers.starts_later(number).then(|| self.unique(&format!("{name}_start")));
        if let Some(start) = &start {
            let unit = mode_or.texel();
            self.args.push(Argument::Start { name: start.to_string(), unit, offset, parameter });
        }
        self.textures.push(Image { space, mode, extents, start });
        Ok(Val::Texture(n))
    }

    fn texture_buffer(&mut self, name: &str, mode: Option<TextureMode>, alone: bool) -> Space {
        let unique = self.unique(name);
        let words = self.choices.words.contains(&format!("b:{unique}"));
        let dtype = match mode.map(|m| m.channel) {
            Some(d @ (DType::F32 | DType::I32)) if !words => d,
            _ => DType::U32,
        };
        let read_only = alone && !self.choices.words.contains(&format!("w:{unique}"));
        self.b.buffers.push(girih_simt::Buffer { name: unique, elem: Ty::scalar(dtype), written: false, read_only });
        Space::Buffer(self.b.buffers.len() as u32 - 1)
    }

    /// A texture or surface function; `None` when there is none of that name.
    pub fn texture_call(&mut self, id: &str, targs: Option<&[TemplateArg]>, args: &[Operand], at: At) -> R<Option<Tv>> {
        let Some(access) = access(id) else { return Ok(None) };
        let Some(position) = args.iter().take(2).position(|a| *a.ty() == Type::Texture) else { return Ok(None) };
        let Val::Texture(n) = self.operand_value(&args[position], at)?.v else {
            return Err(self.err("U009", at, "this texture is used before anything is assigned to it"));
        };
        let before = match position {
            1 => Some(self.operand_value(&args[0], at)?),
            _ => None,
        };
        let write = access.what == What::Write;
        let t = match (targs.and_then(|t| t.first()), before.as_ref().map(|b| &b.t)) {
            (Some(a), _) => self.template_type(a, at)?,
            (None, Some(Type::Pointer(t))) if !write => (**t).clone(),
            (None, Some(t)) if write => t.clone(),
            _ => return Err(self.err("U004", at, format!("`{id}` needs the type of its texels: `{id}<float>`"))),
        };
        let lanes = match t {
            Type::Scalar(s) => Some((s, 1)),
            Type::Vector(s, n) => Some((s, n)),
            _ => None,
        };
        let Some((s, lanes)) = lanes.filter(|(s, n)| *n != 3 && guess(*s, *n).is_some()) else {
            return Err(self.err("U004", at, format!("no texel is a {}", self.type_name(&t))));
        };
        let mut values = Vec::new();
        for a in &args[position + 1..] {
            values.push(self.operand_value(a, at)?);
        }
        let coordinates = access.dims + (access.cube as usize) + (access.layered as usize);
        if values.len() < coordinates {
            return Err(self.err("U004", at, format!("`{id}` takes {coordinates} coordinates")));
        }
        let mode = match self.textures.get(n).and_then(|i| i.mode) {
            Some(mode) => mode,
            None => {
                self.choices.textures.extend(guess(s, lanes).map(|m| (n, m)));
                return Err(Fail::Retry);
            }
        };
        if matches!(access.what, What::Read | What::Write) {
            return self.surface(n, mode, access, &t, before, &values, at).map(Some);
        }
        let float = mode.fractions || mode.channel.is_float();
        if s.is_float() != float || (lanes > mode.channels && access.what != What::Gather) {
            let text = format!("texels of {} x {} are read as {}", mode.channel, mode.channels, self.type_name(&t));
            return Err(self.err("U007", at, text));
        }
        let got = match access.what {
            What::Fetch => self.linear_texel(n, &mode, lanes, &values[0], at)?,
            What::Gather => self.gather(n, &mode, lanes, &values, at)?,
            _ => self.sample(n, &mode, access, lanes, &values, at)?,
        };
        let mut parts = Vec::new();
        for lane in got {
            parts.push(self.convert(lane, &Type::Scalar(s), at)?.v);
        }
        let v = match (&t, parts.len()) {
            (Type::Scalar(_), 1) => parts.remove(0),
            _ => Val::Group(parts),
        };
        match before {
            None => Ok(Some(Tv { v, t })),
            Some(pointer) => {
                let place = self.dereference(pointer, at)?;
                let v = self.convert(Tv { v, t }, &place.ty().clone(), at)?;
                self.store(&place, &v.v, at)?;
                Ok(Some(Tv::void()))
            }
        }
    }

    /// A function of the built-in header.
    fn header(&mut self, name: &str, args: &[&Tv], at: At) -> R<Tv> {
        let args: Vec<Operand> = args.iter().map(|a| Operand::Value((*a).clone())).collect();
        match self.call_named(name, None, &args, None, at)? {
            Some(o) => self.operand_value(&o, at),
            None => Err(self.err("U003", at, "textures are used without their type `cudaTextureObject_t`")),
        }
    }

    fn extent(&mut self, image: usize, axis: usize) -> Tv {
        let name = self.textures[image].extents[axis].clone();
        let word = self.b.uniform(&name);
        let v = self.b.bitcast(word, DType::I32);
        self.not_negative.insert(v);
        Tv::one(v, Scalar::Int)
    }

    /// The place of element `index` of `size` bytes.
    fn texel_place(&mut self, n: usize, size: u32, index: &Tv, to: Type, at: At) -> R<Place> {
        let ix = match self.convert(index.clone(), &UINT, at)?.v {
            Val::Int(k) => Ix::K(k as i64),
            v => Ix::V(self.id(&v, Scalar::UInt)),
        };
        let ix = match self.textures[n].start.clone() {
            Some(start) => {
                let texels = Ix::V(self.b.uniform(&start));
                let per = self.textures[n].mode.map_or(1, |m| m.texel() / size);
                let start = self.ix_mul(texels, per as i64);
                self.ix_add(start, ix)
            }
            None => ix,
        };
        let base = Base::Space(self.textures[n].space);
        Ok(Place::Memory(Ptr { base, unit: size, ix, plus: 0, to }))
    }
}
