//! Variables at file scope: shared, constant and in device memory, with their bytes before the first launch.

use super::*;
use girih_base::codec::encode;

impl Lowerer<'_> {
    /// A variable at file scope.
    pub fn global(&mut self, index: usize, part: &Part, at: At) -> R<super::call::Operand> {
        use super::call::Operand;
        let var = self.p.globals[index].clone();
        if let Some(params) = self.p.variable_templates.get(&var.name) {
            let params = params.clone();
            let (env, _) = self.bind_template(&params, part.args.as_deref().unwrap_or_default(), at)?;
            self.scopes.push(env);
            let done = self.constant_global(&var, at);
            self.scopes.pop();
            return done;
        }
        if matches!(&var.ty, TypeExpr::Named(n) if matches!(&*n.last().id, "texture" | "surface")) {
            return Err(self.refuse(
                at,
                "a texture or surface reference",
                "CUDA 12 has none either: pass a cudaTextureObject_t to the kernel",
            ));
        }
        if let Some(place) = self.global_vars.get(&index) {
            return Ok(Operand::Place(place.clone()));
        }
        match var.place {
            Storage::Dynamic => {
                let place = self.dynamic_shared(&var)?;
                self.global_vars.insert(index, place.clone());
                Ok(Operand::Place(place))
            }
            Storage::Constant | Storage::Device
                if !(var.constant && var.place == Storage::Device && var.init.is_some()) =>
            {
                let t = self.declared(&var.ty, var.init.as_ref(), var.at)?;
                let elem = if let Type::Array(..) = &t { t.clone() } else { t.clone() };
                let initial = self.initial_bytes(&var, &t)?;
                let space = self.buffer(&var.name, &elem, var.place == Storage::Constant, var.at)?;
                self.args.push(Argument::Symbol { name: var.name.to_string(), initial });
                let unit = self.store_of(space).size;
                let place = Place::Memory(Ptr { base: Base::Space(space), unit, ix: Ix::K(0), plus: 0, to: t });
                self.global_vars.insert(index, place.clone());
                Ok(Operand::Place(place))
            }
            Storage::Shared => self.shared_global(&var).map(Operand::Place),
            _ if var.init.is_none() => Err(self.refuse(
                at,
                format!("the host variable `{}`", var.name),
                "mark it __device__ or __constant__, or pass it as an argument",
            )),
            _ => self.constant_global(&var, at),
        }
    }

    pub(super) fn shared_global(&mut self, var: &Var) -> R<Place> {
        let t = self.ty(&var.ty, var.at)?;
        let key = (var.at, "".into());
        if let Some(place) = self.shared_vars.get(&key) {
            return Ok(place.clone());
        }
        let place = self.shared_array(&var.name, &t, var.at)?;
        self.shared_vars.insert(key, place.clone());
        Ok(place)
    }

    pub(super) fn constant_global(&mut self, var: &Var, at: At) -> R<super::call::Operand> {
        use super::call::Operand;
        let Some(init) = var.init.clone() else {
            return Err(self.err("U004", at, format!("`{}` has no value here", var.name)));
        };
        // Names of the function do not reach into a variable at file scope.
        let top = self.scopes.last().cloned().unwrap_or_default();
        let inner = std::mem::replace(&mut self.scopes, vec![top]);
        let done = self.declared(&var.ty, Some(&init), var.at).and_then(|t| self.initial_of(&init, &t, var.at));
        self.scopes = inner;
        Ok(Operand::Value(done?))
    }

    pub(super) fn initial_bytes(&mut self, var: &Var, t: &Type) -> R<Vec<u8>> {
        if &*var.name == "__girih_xorwow_jumps" {
            return Ok(crate::random::jumps().to_vec());
        }
        let mut bytes = vec![0u8; self.size(t) as usize];
        if let Some(init) = var.init.clone() {
            let tv = self.initial_of(&init, t, var.at)?;
            self.put_bytes(&tv.v, t, 0, &mut bytes, var.at)?;
        }
        Ok(bytes)
    }

    pub(super) fn put_bytes(&mut self, v: &Val, t: &Type, at: usize, out: &mut [u8], here: At) -> R<()> {
        match (t, v) {
            (Type::Scalar(s), Val::Int(_) | Val::Float(_)) => {
                let bits: u64 = match (s, v) {
                    (Scalar::Float, Val::Float(f)) => (*f as f32).to_bits() as u64,
                    (Scalar::Double, Val::Float(f)) => f.to_bits(),
                    // Rounded once, which the conversions of `half` do not promise.
                    (Scalar::Half, Val::Float(f)) => encode(girih_base::Scalar::Float(*f), DType::F16),
                    (Scalar::Bf16, Val::Float(f)) => encode(girih_base::Scalar::Float(*f), DType::Bf16),
                    (_, Val::Int(n)) => *n as u64,
                    _ => 0,
                };
                let n = s.size() as usize;
                out[at..at + n].copy_from_slice(&bits.to_le_bytes()[..n]);
                Ok(())
            }
            (_, Val::Group(parts)) => {
                for ((o, t), v) in self.parts(t).into_iter().zip(parts) {
                    self.put_bytes(v, &t, at + o as usize, out, here)?;
                }
                Ok(())
            }
            _ => Err(self.err("U004", here, "the initial value must be a constant")),
        }
    }
}
