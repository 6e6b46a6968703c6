//! Values of a kernel's symbols and scalars at a launch.

use crate::{Binding, Kernel};
use girih_base::scalar::IntType;
use girih_base::{Bindings, DType, Diag, Result};

/// What a launch gives for a part of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Given {
    /// An integer; of a buffer its number of elements.
    Int(i128),
    /// A float.
    Float(f64),
}

impl Kernel {
    /// Values for a launch over a grid with extents along x, y, z; `given` looks parts of arguments up.
    ///
    /// # Errors
    /// `K012` what is missing, beyond what the kernel was compiled for, or beyond int32 where the kernel counts in that.
    pub fn bind(&self, grid: [i64; 3], given: impl Fn(&str, &Binding) -> Option<Given>) -> Result<Bindings> {
        let mut bindings = Bindings::new();
        for ((name, extent), axis) in self.grid.iter().zip(grid).zip(["x", "y", "z"]) {
            match name {
                Some(name) => {
                    bindings.insert(name.clone(), extent);
                }
                None if extent != 1 => {
                    let why = format!("a grid of {extent} programs along {axis}");
                    return Err(Diag::error("K012", why).note("the kernel was compiled for one program there"));
                }
                None => {}
            }
        }
        for (name, binding) in &self.bindings {
            let wrong = || Diag::error("K012", format!("argument `{name}` is missing or of another kind"));
            let (symbol, value) = match (binding, given(name, binding).ok_or_else(wrong)?) {
                (Binding::Buffer { length, .. }, Given::Int(v)) => (length, i32::try_from(v).ok().map(i64::from)),
                (
                    Binding::Size(s) | Binding::Start(s) | Binding::Extent(s, _) | Binding::Stride(s, _),
                    Given::Int(v),
                ) => (s, i64::try_from(v).ok()),
                (Binding::Scalar(symbol, dtype), given) => (symbol, scalar(*dtype, given)),
                _ => return Err(wrong()),
            };
            let Some(value) = value else {
                return Err(match (binding, given(name, binding)) {
                    (Binding::Buffer { .. }, Some(Given::Int(n))) => {
                        Diag::error("K012", format!("`{name}` has {n} elements, offsets are 32-bit"))
                            .help("launch over parts of it")
                    }
                    (Binding::Scalar(_, dtype), Some(Given::Int(v))) => {
                        Diag::error("K012", format!("argument `{name}` is {dtype}, which {v} does not fit"))
                    }
                    (_, Some(Given::Int(v))) => Diag::error("K012", format!("argument `{name}` is too large: {v}")),
                    _ => wrong(),
                });
            };
            bindings.insert(symbol.clone(), value);
        }
        for s in &self.symbols {
            let Some(value) = bindings.get(&s.name) else { continue };
            if !(s.min..=s.max).contains(value) || value % s.multiple_of.max(1) != 0 {
                let least =
                    if s.multiple_of > 1 { format!(", and a multiple of {}", s.multiple_of) } else { String::new() };
                return Err(Diag::error("K012", format!("`{}` is {value} at this launch", s.name))
                    .note(format!("the kernel was compiled for {} to {}{least}", s.min, s.max))
                    .help("launch over smaller parts, or compile it for this"));
            }
        }
        for d in &self.checks {
            if !d.eval(&bindings).is_ok_and(|v| i32::try_from(v).is_ok()) {
                return Err(Diag::error("K012", format!("`{d}` is beyond int32 at this launch"))
                    .note("the kernel computes it in 32 bits")
                    .help("launch over smaller parts, or compute it in tl.int64"));
            }
        }
        Ok(bindings)
    }
}

/// The bits of a scalar, where it has the value.
fn scalar(dtype: DType, given: Given) -> Option<i64> {
    match (dtype, given) {
        (DType::F32, Given::Float(v)) => Some((v as f32).to_bits() as i64),
        (DType::F32, Given::Int(v)) => Some((v as f32).to_bits() as i64),
        (DType::F64, Given::Float(v)) => Some(v.to_bits() as i64),
        (DType::F64, Given::Int(v)) => Some((v as f64).to_bits() as i64),
        (_, Given::Float(_)) => None,
        (d, Given::Int(v)) => IntType::of(d).filter(|t| (t.min()..=t.max()).contains(&v)).map(|_| v as i64),
    }
}
