//! The forms of a kernel that is compiled for one kind of arguments: each assumes something of the launch.

use crate::signature::{Assume, Launch};
use crate::{Kernel, Signature};
use girih_base::{Bindings, Result};
use std::sync::Arc;

/// Forms that use what they know of a launch; further launches take the form that assumes nothing.
const MOST: usize = 4;

/// Forms of one kernel, each with what a device made of it.
pub struct Forms<T> {
    list: Vec<Arc<(Kernel, T)>>,
}

impl<T> Default for Forms<T> {
    fn default() -> Forms<T> {
        Forms { list: Vec::new() }
    }
}

impl<T> Forms<T> {
    /// Number of forms.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The form for a launch, compiled if need be. `values` binds a form's symbols.
    ///
    /// # Errors
    /// What compiling and binding find.
    pub fn choose(
        &mut self,
        signature: &Signature,
        launch: Launch,
        values: impl Fn(&Kernel) -> Result<Bindings>,
        mut compile: impl FnMut(&Signature) -> Result<(Kernel, T)>,
    ) -> Result<Arc<(Kernel, T)>> {
        let best = |f: &&Arc<(Kernel, T)>| values(&f.0).is_ok_and(|b| f.0.holds(&b) && !f.0.misses(&b));
        if let Some(form) = self.list.iter().find(best) {
            return Ok(form.clone());
        }
        if self.list.len() < MOST {
            let form = compile(&Signature { assume: Assume::Launch(launch), ..signature.clone() })?;
            if form.0.holds(&values(&form.0)?) {
                return Ok(self.add(form));
            }
        }
        let fits = |f: &&Arc<(Kernel, T)>| values(&f.0).is_ok_and(|b| f.0.holds(&b));
        if let Some(form) = self.list.iter().find(fits) {
            return Ok(form.clone());
        }
        let form = compile(&Signature { assume: Assume::Nothing, ..signature.clone() })?;
        Ok(self.add(form))
    }

    /// Adds a form.
    pub fn add(&mut self, form: (Kernel, T)) -> Arc<(Kernel, T)> {
        let form = Arc::new(form);
        self.list.push(form.clone());
        form
    }
}
