//! Reads and writes of surfaces.

use super::super::value::{Tv, Val};
use super::super::*;
use super::{Access, What};
use crate::texture::TextureMode;

impl Lowerer<'_> {
    /// A read or write of a surface: the first coordinate counts bytes.
    #[allow(clippy::too_many_arguments, reason = "where and what")]
    pub(super) fn surface(
        &mut self,
        n: usize,
        mode: TextureMode,
        access: Access,
        t: &Type,
        before: Option<Tv>,
        values: &[Tv],
        at: At,
    ) -> R<Tv> {
        let (size, texel) = (self.size(t), mode.texel());
        if texel % size != 0 {
            return Err(self.err("U007", at, format!("texels of {texel} bytes are accessed as {}", self.type_name(t))));
        }
        let mut coordinates = Vec::new();
        for v in &values[..access.dims + access.cube as usize + access.layered as usize] {
            coordinates.push(self.convert(v.clone(), &INT, at)?);
        }
        let boundary = match values.get(coordinates.len()) {
            None => 2,
            Some(v) => match v.known() {
                Some(n @ 0..=2) => n,
                _ => return Err(self.err("U004", at, "the boundary mode must be a constant")),
            },
        };
        let bytes = Tv::int(size as i128, Scalar::Int);
        coordinates[0] = self.binary("/", coordinates[0].clone(), bytes, at)?;
        // Widths and pitches count texels; here they count accesses.
        let per = Tv::int((texel / size) as i128, Scalar::Int);
        let wide = |l: &mut Self, axis: usize| -> R<Tv> {
            let e = l.extent(n, axis);
            if texel == size { Ok(e) } else { l.binary("*", e, per.clone(), at) }
        };
        let (flat, slices) = (access.dims == 1, access.dims == 3 || access.layered || access.cube);
        let mut sizes = vec![wide(self, 0)?];
        if !flat {
            sizes.push(self.extent(n, 1));
        }
        if access.cube && access.layered {
            // Six faces for each layer.
            let layer = coordinates.remove(3);
            let first = self.binary("*", layer, Tv::int(6, Scalar::Int), at)?;
            coordinates[2] = self.binary("+", first, coordinates[2].clone(), at)?;
        }
        if slices {
            sizes.push(self.extent(n, 2));
        }
        let mut outside: Option<Tv> = None;
        for (x, size) in coordinates.iter_mut().zip(&sizes) {
            if boundary == 1 {
                *x = self.header("__girih_layer", &[&*x, size], at)?;
                continue;
            }
            let (a, b) = (self.convert(x.clone(), &UINT, at)?, self.convert(size.clone(), &UINT, at)?);
            let far = self.binary(">=", a, b, at)?;
            outside = Some(match outside {
                None => far,
                Some(o) => self.binary("|", o, far, at).and_then(|b| self.truth(b, at))?,
            });
        }
        let zero = Tv::int(0, Scalar::Int);
        let (x, y, z) = match (flat, slices) {
            (true, false) => (coordinates[0].clone(), zero.clone(), zero),
            (true, true) => (coordinates[0].clone(), zero, coordinates[1].clone()),
            (false, false) => (coordinates[0].clone(), coordinates[1].clone(), zero),
            (false, true) => (coordinates[0].clone(), coordinates[1].clone(), coordinates[2].clone()),
        };
        let index = if flat && !slices {
            x
        } else {
            let (height, pitch) = (if flat { Tv::int(1, Scalar::Int) } else { self.extent(n, 1) }, wide(self, 3)?);
            self.header("__girih_texel", &[&x, &y, &z, &height, &pitch], at)?
        };
        let outside = outside.map(|o| self.id(&o.v, Scalar::Bool));
        // A trap is an access that no buffer has: the checker finds it.
        let beyond = if boundary == 2 { -1 } else { 0 };
        let index = match outside {
            Some(test) => Tv { v: self.select(test, &Val::Int(beyond), &index.v, &INT, at)?, t: INT },
            None => index,
        };
        let place = self.texel_place(n, size, &index, t.clone(), at)?;
        if access.what == What::Write {
            let Some(v) = before else { return Err(self.err("U004", at, "there is nothing to write")) };
            let v = self.convert(v, t, at)?;
            match outside.filter(|_| boundary == 0) {
                Some(test) => {
                    let inside = self.b.map(girih_base::ScalarOp::Not, &[test]);
                    self.open();
                    let done = self.store(&place, &v.v, at);
                    let body = self.close();
                    done?;
                    self.b.effect(girih_simt::Op::If(inside, body, Vec::new()));
                }
                None => self.store(&place, &v.v, at)?,
            }
            return Ok(Tv::void());
        }
        let mut got = self.load(&place, at)?;
        if let Some(test) = outside.filter(|_| boundary == 0) {
            let zero = self.zero(t, at)?;
            got.v = self.select(test, &zero, &got.v, t, at)?;
        }
        match before {
            None => Ok(got),
            Some(pointer) => {
                let place = self.dereference(pointer, at)?;
                let v = self.convert(got, &place.ty().clone(), at)?;
                self.store(&place, &v.v, at)?;
                Ok(Tv::void())
            }
        }
    }
}
