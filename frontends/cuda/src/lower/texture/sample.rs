//! Reads of textures: coordinates become texels, as the texture's mode says, and texels values.

use super::super::value::{Place, Tv, Val};
use super::super::*;
use super::{Access, channel};
use crate::texture::{Address, TextureMode};

/// Texels along an axis: the first, and with interpolation the second and its weight.
struct Axis {
    first: Tv,
    second: Option<(Tv, Tv)>,
    border: bool,
}

impl Lowerer<'_> {
    /// Texels for a coordinate; `scaled`: it counts texels already.
    fn axis(&mut self, n: usize, mode: &TextureMode, axis: usize, x: &Tv, scaled: bool, at: At) -> R<Axis> {
        let size = self.extent(n, axis);
        let x = self.convert(x.clone(), &Type::Scalar(Scalar::Float), at)?;
        let normalized = mode.normalized && !scaled;
        let (scale, index) = match mode.address[axis] {
            Address::Wrap if normalized => ("__girih_scale_wrap", "__girih_wrap"),
            Address::Mirror if normalized => ("__girih_scale_mirror", "__girih_mirror"),
            Address::Border => ("__girih_scale", "__girih_border"),
            _ => ("__girih_scale", "__girih_clamp"),
        };
        let mut x = if normalized { self.header(scale, &[&x, &size], at)? } else { x };
        if mode.linear {
            let half = Tv { v: Val::Float(0.5), t: Type::Scalar(Scalar::Float) };
            x = self.binary("-", x, half, at)?;
        }
        let floor = self.f32(&x, at)?;
        let floor = Tv::one(self.b.map(girih_base::ScalarOp::Floor, &[floor]), Scalar::Float);
        let first = self.header(index, &[&floor, &size], at)?;
        let second = if mode.linear {
            let weight = self.header("__girih_weight", &[&x, &floor], at)?;
            let one = Tv { v: Val::Float(1.0), t: Type::Scalar(Scalar::Float) };
            let next = self.binary("+", floor, one, at)?;
            Some((self.header(index, &[&next, &size], at)?, weight))
        } else {
            None
        };
        Ok(Axis { first, second, border: mode.address[axis] == Address::Border })
    }

    /// The slice, layer or face of a layered read.
    fn layer(&mut self, n: usize, access: Access, layer: Option<&Tv>, face: Option<Tv>, at: At) -> R<Tv> {
        let Some(layer) = layer.filter(|_| access.layered) else {
            return Ok(face.unwrap_or(Tv::int(0, Scalar::Int)));
        };
        let layer = self.convert(layer.clone(), &INT, at)?;
        let mut count = self.extent(n, 2);
        let six = Tv::int(6, Scalar::Int);
        if face.is_some() {
            count = self.binary("/", count, six.clone(), at)?;
        }
        let layer = self.header("__girih_layer", &[&layer, &count], at)?;
        match face {
            Some(face) => {
                let first = self.binary("*", layer, six, at)?;
                self.binary("+", first, face, at)
            }
            None => Ok(layer),
        }
    }

    pub(super) fn sample(
        &mut self,
        n: usize,
        mode: &TextureMode,
        access: Access,
        lanes: u8,
        values: &[Tv],
        at: At,
    ) -> R<Vec<Tv>> {
        let mut mode = *mode;
        let (mut axes, face) = (Vec::new(), if access.cube { Some(self.cube(&mut mode, values, at)?) } else { None });
        for i in 0..access.dims {
            axes.push(match &face {
                Some((_, coordinates)) => {
                    let size = self.extent(n, i);
                    let x = self.header("__girih_scale", &[&coordinates[i].clone(), &size], at)?;
                    self.axis(n, &mode, i, &x, true, at)?
                }
                None => self.axis(n, &mode, i, &values[i], false, at)?,
            });
        }
        let layer = values.get(access.dims + access.cube as usize);
        let z = if access.dims == 3 { None } else { Some(self.layer(n, access, layer, face.map(|f| f.0), at)?) };
        let flat = access.dims == 1;
        // One corner for each choice of the first or second texel on each axis.
        let corners = if mode.linear { 1 << access.dims } else { 1 };
        let mut texels = Vec::new();
        for corner in 0..corners {
            let zero = Tv::int(0, Scalar::Int);
            let mut at_axis = [zero.clone(), zero.clone(), z.clone().unwrap_or(zero)];
            let mut outside = Vec::new();
            for (i, a) in axes.iter().enumerate() {
                at_axis[i] = match &a.second {
                    Some((second, _)) if corner >> i & 1 == 1 => second.clone(),
                    _ => a.first.clone(),
                };
                if a.border {
                    outside.push(at_axis[i].clone());
                }
            }
            texels.push(self.texel(n, &mode, lanes, &at_axis, &outside, flat, at)?);
        }
        if !mode.linear {
            return Ok(texels.remove(0));
        }
        let mix = ["__girih_mix1", "__girih_mix2", "__girih_mix3"][access.dims - 1];
        let mut out = Vec::new();
        for lane in 0..lanes as usize {
            let mut args: Vec<&Tv> = texels.iter().map(|t| &t[lane]).collect();
            args.extend(axes.iter().filter_map(|a| a.second.as_ref().map(|s| &s.1)));
            out.push(self.header(mix, &args, at)?);
        }
        Ok(out)
    }

    /// Face and coordinates of a direction in a cube map.
    fn cube(&mut self, mode: &mut TextureMode, values: &[Tv], at: At) -> R<(Tv, Vec<Tv>)> {
        if mode.linear {
            return Err(self.refuse(
                at,
                "interpolation in a cube map",
                "what CUDA does where two faces meet is not documented: read single texels (cudaFilterModePoint)",
            ));
        }
        mode.address = [Address::Clamp; 3];
        let mut direction = Vec::new();
        for v in &values[..3] {
            direction.push(self.convert(v.clone(), &Type::Scalar(Scalar::Float), at)?);
        }
        let found = self.header("__girih_cube", &direction.iter().collect::<Vec<_>>(), at)?;
        let mut parts = Vec::new();
        for name in ["face", "s", "t"] {
            let place = self.field(&Place::Value(found.clone()), name, at)?;
            parts.push(self.load(&place, at)?);
        }
        Ok((parts.remove(0), parts))
    }

    /// The channels of one texel; zero where an index is negative.
    #[allow(clippy::too_many_arguments, reason = "where and what")]
    fn texel(
        &mut self,
        n: usize,
        mode: &TextureMode,
        lanes: u8,
        [x, y, z]: &[Tv; 3],
        outside: &[Tv],
        flat: bool,
        at: At,
    ) -> R<Vec<Tv>> {
        // Rows of a layered texture of one axis are its layers.
        let index = if flat && z.known() == Some(0) {
            x.clone()
        } else {
            let (height, pitch) = (if flat { Tv::int(1, Scalar::Int) } else { self.extent(n, 1) }, self.extent(n, 3));
            self.header("__girih_texel", &[x, y, z, &height, &pitch], at)?
        };
        let mut none: Option<Tv> = None;
        for i in outside {
            let below = self.binary("<", i.clone(), Tv::int(0, Scalar::Int), at)?;
            none = Some(match none {
                None => below,
                Some(n) => self.binary("|", n, below, at).and_then(|b| self.truth(b, at))?,
            });
        }
        self.texel_or(n, mode, lanes, index, none, at)
    }

    /// The texel at an index; where `none` holds, zero, and nothing is read.
    fn texel_or(&mut self, n: usize, mode: &TextureMode, lanes: u8, index: Tv, none: Option<Tv>, at: At) -> R<Vec<Tv>> {
        let s = channel(mode);
        let test = none.map(|t| self.id(&t.v, Scalar::Bool));
        let index = match test {
            Some(test) => Tv { v: self.select(test, &Val::Int(0), &index.v, &INT, at)?, t: INT },
            None => index,
        };
        let to = if mode.channels == 1 { Type::Scalar(s) } else { Type::Vector(s, lanes) };
        let got = self.texel_place(n, mode.texel(), &index, to, at)?;
        let got = self.load(&got, at)?.v;
        let parts = match got {
            Val::Group(parts) => parts,
            one => vec![one],
        };
        let mut out = Vec::new();
        for mut v in parts {
            if let Some(test) = test {
                let zero = self.zero(&Type::Scalar(s), at)?;
                v = self.select(test, &zero, &v, &Type::Scalar(s), at)?;
            }
            let lane = Tv { v, t: Type::Scalar(s) };
            out.push(if mode.fractions { self.fraction(lane, s, at)? } else { lane });
        }
        Ok(out)
    }

    /// An integer as the fraction of its largest value.
    fn fraction(&mut self, lane: Tv, s: Scalar, at: At) -> R<Tv> {
        let float = |f: f64| Tv { v: Val::Float(f), t: Type::Scalar(Scalar::Float) };
        let most = match s {
            Scalar::UChar => 255.0,
            Scalar::SChar => 127.0,
            Scalar::UShort => 65535.0,
            _ => 32767.0,
        };
        let lane = self.convert(lane, &Type::Scalar(Scalar::Float), at)?;
        let f = self.binary("/", lane, float(most), at)?;
        if s.signed() { self.extreme(true, f, float(-1.0), at) } else { Ok(f) }
    }

    /// Linear memory by index: zero outside.
    pub(super) fn linear_texel(&mut self, n: usize, mode: &TextureMode, lanes: u8, x: &Tv, at: At) -> R<Vec<Tv>> {
        let size = self.extent(n, 0);
        let x = self.convert(x.clone(), &INT, at)?;
        let (a, b) = (self.convert(x.clone(), &UINT, at)?, self.convert(size, &UINT, at)?);
        let outside = self.binary(">=", a, b, at)?;
        self.texel_or(n, mode, lanes, x, Some(outside), at)
    }

    /// One channel of the four texels that interpolation would take: lower left, lower right, upper right, upper left.
    pub(super) fn gather(&mut self, n: usize, mode: &TextureMode, lanes: u8, values: &[Tv], at: At) -> R<Vec<Tv>> {
        let lane = match values.get(2).map(|v| v.known()) {
            None => 0,
            Some(Some(k)) if (0..mode.channels as i128).contains(&k) => k as usize,
            Some(_) => {
                return Err(self.err("U007", at, "the channel to gather must be a constant that the texels have"));
            }
        };
        if lanes != 4 {
            return Err(self.err("U004", at, "a gather gives four values"));
        }
        let linear = TextureMode { linear: true, ..*mode };
        let (x, y) =
            (self.axis(n, &linear, 0, &values[0], false, at)?, self.axis(n, &linear, 1, &values[1], false, at)?);
        let (Some((right, _)), Some((lower, _))) = (&x.second, &y.second) else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for (i, j) in [(&x.first, lower), (right, lower), (right, &y.first), (&x.first, &y.first)] {
            let place = [i.clone(), j.clone(), Tv::int(0, Scalar::Int)];
            let outside: Vec<Tv> =
                [(&x, i), (&y, j)].into_iter().filter(|(a, _)| a.border).map(|(_, i)| i.clone()).collect();
            let mut texel = self.texel(n, mode, mode.channels, &place, &outside, false, at)?;
            out.push(texel.swap_remove(lane));
        }
        Ok(out)
    }
}
