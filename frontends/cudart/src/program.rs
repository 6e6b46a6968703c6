//! What a program registers before `main`: its source, kernels and variables; and kernels translated for a shape of launch.

use crate::code::{Code, Fault, Outcome};
use crate::memory::Memory;
use crate::names;
use crate::rig::Rig;
use girih_base::{Diag, Result};
use girih_cuda::{Bundle, Compiled, LaunchShape, Module};
use girih_exec::KernelRef;
use std::collections::BTreeMap;

/// One translation unit.
pub struct Program {
    bundle: Vec<u8>,
    module: Option<Result<Module>>,
    /// Addresses of the memory of variables, by name.
    variables: BTreeMap<String, u64>,
}

/// A kernel by the address of its stub.
#[derive(Clone)]
pub struct Function {
    /// Number of its program.
    pub program: usize,
    /// Its name with template arguments.
    pub name: String,
    /// The types of its parameters.
    pub parameters: String,
}

/// A variable by the address of its shadow on the host.
#[derive(Clone)]
pub struct Variable {
    /// Number of its program.
    pub program: usize,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

/// A kernel for one shape of launch, on the device.
pub struct Ready {
    /// The kernel and its arguments.
    pub compiled: Compiled,
    /// On the device.
    pub kernel: Option<KernelRef>,
}

/// All that was registered.
#[derive(Default)]
pub struct Programs {
    programs: Vec<Program>,
    functions: BTreeMap<u64, Function>,
    variables: BTreeMap<u64, Variable>,
    ready: Vec<((u64, LaunchShape), Ready)>,
}

impl Programs {
    /// A translation unit; gives its number.
    pub fn add(&mut self, bundle: Vec<u8>) -> usize {
        self.programs.push(Program { bundle, module: None, variables: BTreeMap::new() });
        self.programs.len() - 1
    }

    /// A kernel of a translation unit.
    pub fn add_function(&mut self, program: usize, stub: u64, mangled: &str) {
        let (name, parameters) = (names::plain(mangled), names::parameters(mangled));
        self.functions.insert(stub, Function { program, name, parameters });
    }

    /// A variable of a translation unit.
    pub fn add_variable(&mut self, program: usize, shadow: u64, mangled: &str, bytes: u64) {
        self.variables.insert(shadow, Variable { program, name: names::plain(mangled), bytes });
    }

    /// The kernel behind a stub.
    ///
    /// # Errors
    /// `cudaErrorInvalidDeviceFunction`.
    pub fn function(&self, stub: u64) -> Outcome<Function> {
        self.functions.get(&stub).cloned().ok_or(Code::INVALID_DEVICE_FUNCTION.into())
    }

    /// The variable behind a shadow.
    ///
    /// # Errors
    /// `cudaErrorInvalidSymbol`.
    pub fn variable(&self, shadow: u64) -> Outcome<Variable> {
        self.variables.get(&shadow).cloned().ok_or(Code::INVALID_SYMBOL.into())
    }

    /// The parsed source.
    fn module(&mut self, program: usize) -> Outcome<&Module> {
        let refuse = |d: &Diag| Fault::lasting(Code::INVALID_KERNEL_IMAGE, Box::new(d.clone()));
        let Some(p) = self.programs.get_mut(program) else { return Err(Code::INVALID_KERNEL_IMAGE.into()) };
        let parse = || Bundle::from_bytes(&p.bundle)?.module();
        p.module.get_or_insert_with(parse).as_ref().map_err(|d| refuse(d))
    }

    /// The kernel of a stub, translated for a shape; [`Programs::load`] puts it on the device.
    ///
    /// # Errors
    /// What the translator refuses, as `cudaErrorNotSupported`.
    pub fn compile(&mut self, stub: u64, shape: LaunchShape, rig: &Rig) -> Outcome<usize> {
        if let Some(at) = self.ready.iter().position(|(key, _)| *key == (stub, shape)) {
            return Ok(at);
        }
        let function = self.function(stub)?;
        let refuse = |d| Fault::lasting(Code::NOT_SUPPORTED, d);
        let caps = girih_cuda::caps(&*rig.target);
        let module = self.module(function.program)?;
        let base = function.name.split('<').next().unwrap_or_default();
        let name = match module.overloaded(base) {
            true => function.name.clone() + &function.parameters,
            false => function.name.clone(),
        };
        let compiled = module.compile(&name, &shape, caps).map_err(refuse)?;
        self.ready.push(((stub, shape), Ready { compiled, kernel: None }));
        Ok(self.ready.len() - 1)
    }

    /// A translated kernel on the device.
    ///
    /// # Errors
    /// What the device refuses, as `cudaErrorNotSupported`.
    pub fn load(&mut self, at: usize, rig: &mut Rig) -> Outcome<(KernelRef, &Compiled)> {
        let Some((_, ready)) = self.ready.get_mut(at) else { return Err(Code::UNKNOWN.into()) };
        let kernel = match ready.kernel {
            Some(kernel) => kernel,
            None => {
                let code = ready.compiled.code(&*rig.target);
                let kernel =
                    code.and_then(|code| rig.device.load(&code)).map_err(|d| Fault::lasting(Code::NOT_SUPPORTED, d))?;
                ready.kernel = Some(kernel);
                kernel
            }
        };
        Ok((kernel, &ready.compiled))
    }

    /// A translated kernel.
    pub fn compiled(&self, at: usize) -> &Compiled {
        &self.ready[at].1.compiled
    }

    /// The address of a variable's memory, which holds its initial value before anything is written there.
    ///
    /// # Errors
    /// `cudaErrorInvalidSymbol` where the source has no such variable.
    pub fn memory_of(
        &mut self,
        program: usize,
        name: &str,
        initial: Option<&[u8]>,
        memory: &mut Memory,
        rig: &mut Rig,
    ) -> Outcome<u64> {
        if let Some(address) = self.programs.get(program).and_then(|p| p.variables.get(name)) {
            return Ok(*address);
        }
        let bytes = match initial {
            Some(bytes) => bytes.to_vec(),
            None => {
                let caps = girih_cuda::caps(&*rig.target);
                let bytes = self.module(program)?.initial(name, caps);
                bytes.map_err(|d| Fault::lasting(Code::NOT_SUPPORTED, d))?.ok_or(Code::INVALID_SYMBOL)?
            }
        };
        let address = memory.allocate(&mut *rig.device, bytes.len().max(1) as u64)?;
        if let Some((_, found, _)) = memory.find(address) {
            let buffer = found.buffer;
            rig.device.write(buffer, 0, &bytes).map_err(|d| Fault::lasting(Code::UNKNOWN, d))?;
        }
        if let Some(p) = self.programs.get_mut(program) {
            p.variables.insert(name.to_string(), address);
        }
        Ok(address)
    }

    /// Variables lose their memory when the device is reset.
    pub fn forget_memory(&mut self) {
        self.programs.iter_mut().for_each(|p| p.variables.clear());
    }
}
