//! Arrays in workgroup memory, used again where their time is over.

use super::{Emit, Scratch};
use girih_base::{DType, ScalarOp};
use girih_simt::{self as simt, Space, Ty, ValueId as Sv};

impl Emit<'_> {
    /// A workgroup array for `len` elements, ready to be written.
    pub fn scratch(&mut self, name: &str, dtype: DType, len: u32) -> u32 {
        let dtype = if dtype == DType::Bool { DType::U32 } else { dtype };
        let fits = |i: &usize| !self.scratch[*i].busy && self.b.shared[*i].elem.dtype == dtype;
        let found = (0..self.scratch.len()).find(fits);
        let index = found.unwrap_or_else(|| {
            let n = self.b.shared.iter().filter(|s| s.name.starts_with(name)).count();
            let name = if n == 0 { name.to_string() } else { format!("{name}{n}") };
            self.b.shared.push(simt::Shared { name: name.into(), elem: Ty::scalar(dtype), len: 0 });
            self.scratch.push(Scratch { busy: false, used: false });
            self.scratch.len() - 1
        });
        let array = &mut self.b.shared[index];
        array.len = array.len.max(len);
        self.scratch[index].busy = true;
        if self.scratch[index].used || self.loops > 0 {
            self.barrier();
        }
        self.scratch[index].used = true;
        index as u32
    }

    /// Gives an array back to be reused in this statement.
    pub fn release(&mut self, index: u32) {
        self.scratch[index as usize].busy = false;
    }

    /// Writes an element of a workgroup array (bool as 0 and 1).
    pub fn put_shared(&mut self, array: u32, index: Sv, value: Sv) {
        let value = if self.b.ty(value).dtype == DType::Bool { self.b.cast(value, DType::U32) } else { value };
        self.b.store(Space::Shared(array), index, value);
    }

    /// Reads an element of a workgroup array as `dtype`.
    pub fn get_shared(&mut self, array: u32, index: Sv, dtype: DType) -> Sv {
        let v = self.b.load(Space::Shared(array), index);
        if dtype == DType::Bool {
            let zero = self.uint(0);
            return self.b.map(ScalarOp::Ne, &[v, zero]);
        }
        v
    }
}
