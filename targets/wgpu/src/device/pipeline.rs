//! Kernels as pipelines.

use super::WgpuDevice;
use super::bind::Slots;
use super::debug::bound;
use crate::check;
use crate::target::fnv1a;
use crate::wgsl::Shader;
use girih_base::{Diag, Dim, Result};
use girih_exec::KernelRef;
use girih_plan::{Arg, Format, KernelCode};
use std::collections::BTreeMap;

/// Bytes of uniforms that one launch sees; 64 symbols.
pub const UNIFORM_WINDOW: u64 = 256;

/// A loaded kernel.
pub struct Pipeline {
    /// The code of the kernel.
    pub code: KernelCode,
    /// Number of workgroups.
    pub groups: Dim,
    /// How often it was loaded and not given back.
    loads: u32,
    /// Each argument in one binding of its own when it is loaded, others when a launch needs them.
    variants: BTreeMap<Shape, Variant>,
}

/// How arguments are bound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    /// The slot of each argument.
    slots: Vec<u32>,
    /// Number of bindings of each slot.
    parts: Vec<u32>,
}

/// A kernel compiled for arguments that are bound in some way.
#[derive(Clone)]
pub struct Variant {
    /// The compiled pipeline.
    pub pipeline: wgpu::ComputePipeline,
    /// Layout of its buffers.
    pub layout: wgpu::BindGroupLayout,
    /// Bytes of an element of each slot that has several bindings.
    pub elements: Vec<u64>,
    /// In how many bytes the start of each argument that shares its slot is counted.
    pub units: Vec<u64>,
}

/// Bind group layouts, shared by kernels with the same arguments.
pub struct Layouts {
    buffers: BTreeMap<Vec<bool>, wgpu::BindGroupLayout>,
    /// The layout of the uniforms: one range at a dynamic offset.
    pub uniforms: wgpu::BindGroupLayout,
}

fn entry(binding: u32, ty: wgpu::BufferBindingType, dynamic: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: dynamic, min_binding_size: None },
        count: None,
    }
}

impl Layouts {
    /// The layout of the uniforms.
    pub fn new(device: &wgpu::Device) -> Layouts {
        let entries = [entry(0, wgpu::BufferBindingType::Uniform, true)];
        let desc = wgpu::BindGroupLayoutDescriptor { label: Some("sizes"), entries: &entries };
        Layouts { buffers: BTreeMap::new(), uniforms: device.create_bind_group_layout(&desc) }
    }

    /// The layout of the arguments, then of their further parts.
    fn of(&mut self, device: &wgpu::Device, args: &[Arg], parts: &[u32]) -> wgpu::BindGroupLayout {
        let further = args.iter().zip(parts).flat_map(|(a, n)| (1..*n).map(|_| a.read_only));
        let key: Vec<bool> = args.iter().map(|a| a.read_only).chain(further).collect();
        let make = || {
            let storage = |(i, read_only): (usize, &bool)| {
                entry(i as u32, wgpu::BufferBindingType::Storage { read_only: *read_only }, false)
            };
            let entries: Vec<_> = key.iter().enumerate().map(storage).collect();
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
        };
        match self.buffers.get(&key) {
            Some(known) => known.clone(),
            None => {
                let layout = make();
                self.buffers.entry(key).or_insert(layout).clone()
            }
        }
    }
}

impl WgpuDevice {
    pub(super) fn load_kernel(&mut self, code: &KernelCode) -> Result<KernelRef> {
        let key = fnv1a(code.text.as_bytes());
        for kernel in self.by_text.get(&key).into_iter().flatten() {
            if let Some(known) = self.pipelines.get_mut(kernel).filter(|p| p.code == *code) {
                known.loads += 1;
                return Ok(*kernel);
            }
        }
        let pipeline = self.build(code)?;
        let kernel = KernelRef(self.built);
        self.built += 1;
        self.pipelines.insert(kernel, pipeline);
        self.by_text.entry(key).or_default().push(kernel);
        Ok(kernel)
    }

    pub(super) fn unload_kernel(&mut self, kernel: KernelRef) {
        let Some(pipeline) = self.pipelines.get_mut(&kernel) else { return };
        pipeline.loads -= 1;
        if pipeline.loads > 0 {
            return;
        }
        let key = fnv1a(pipeline.code.text.as_bytes());
        self.pipelines.remove(&kernel);
        self.bind_groups.retain(|group, _| group.kernel != kernel);
        if let Some(same) = self.by_text.get_mut(&key) {
            same.retain(|k| *k != kernel);
            if same.is_empty() {
                self.by_text.remove(&key);
            }
        }
    }

    fn build(&mut self, code: &KernelCode) -> Result<Pipeline> {
        if code.format != Format::Wgsl {
            return Err(Diag::error("W019", format!("kernel `{}` is not WGSL", code.name))
                .help("compile the graph for this device's target"));
        }
        let most = self.device.limits().max_storage_buffers_per_shader_stage;
        let args = bound(code).len();
        if args > most as usize || code.uniforms.len() as u64 * 4 > UNIFORM_WINDOW {
            let uniforms = code.uniforms.len();
            return Err(Diag::error("W005", format!("kernel `{}` has {args} buffers and {uniforms} sizes", code.name))
                .note(format!("the device binds {most} buffers and {} sizes", UNIFORM_WINDOW / 4)));
        }
        let plain = Shape { slots: (0..args as u32).collect(), parts: vec![1; args] };
        let made = Variant {
            elements: Vec::new(),
            units: Vec::new(),
            ..self.compile(code, &code.text, !code.uniforms.is_empty(), &bound(code), &plain.parts)?
        };
        let groups = code.grid.iter().fold(Dim::ONE, |n, d| &n * d);
        Ok(Pipeline { code: code.clone(), groups, loads: 1, variants: BTreeMap::from([(plain, made)]) })
    }

    /// The kernel for arguments that lie so, and whose slots have so many bindings.
    ///
    /// # Errors
    /// `W016` more bindings than the device has, `W017` arguments that cannot share a slot, and whatever compiling the variant gives.
    pub(super) fn variant(&mut self, kernel: KernelRef, slots: &Slots, parts: Vec<u32>) -> Result<Variant> {
        let Pipeline { code, variants, .. } = &self.pipelines[&kernel];
        let shape = Shape { slots: slots.of.clone(), parts };
        if let Some(known) = variants.get(&shape) {
            return Ok(known.clone());
        }
        let (code, parts) = (code.clone(), &shape.parts);
        let mut text = code.text.to_string();
        let mut units = Vec::new();
        let alone = |slot: usize| slots.of.iter().filter(|s| **s as usize == slot).count() == 1;
        if slots.ranges.len() < slots.of.len() {
            let refuse = |why: String| {
                Diag::error(
                    "W017",
                    format!("arguments of kernel `{}` that lie in one buffer cannot share a binding", code.name),
                )
                .note(why)
                .help("give each argument a buffer of its own")
            };
            if (0..parts.len()).any(|slot| parts[slot] > 1 && !alone(slot)) {
                return Err(refuse("together they are larger than a binding".into()));
            }
            let merged = crate::wgsl::merge(&text, &slots.of).map_err(refuse)?;
            (text, units) = (merged.text, merged.units);
        }
        let most = self.device.limits().max_storage_buffers_per_shader_stage;
        let bindings: u32 = parts.iter().sum();
        let cuts = bindings as u64 - parts.len() as u64;
        let starts = units.iter().filter(|u| **u > 0).count() as u64;
        if bindings > most || (code.uniforms.len() as u64 + starts + cuts) * 4 > UNIFORM_WINDOW {
            let largest = self.device.limits().max_storage_buffer_binding_size;
            return Err(Diag::error("W016", format!("the arguments of kernel `{}` are too large", code.name))
                .note(format!("they take {bindings} bindings of {largest} bytes, `{}` has {most}", self.info.name))
                .help("split the tensors, or use a smaller batch"));
        }
        let mut elements = vec![0; parts.len()];
        if cuts > 0 {
            let split = crate::wgsl::split(&text, parts).map_err(|why| {
                Diag::error("W016", format!("the arguments of kernel `{}` are too large for one binding", code.name))
                    .note(format!("and its text cannot be changed to take several: {why}"))
            })?;
            (text, elements) = (split.text, split.elements);
        }
        let made = Variant { elements, units, ..self.compile(&code, &text, true, &slots.args, parts)? };
        if let Some(p) = self.pipelines.get_mut(&kernel) {
            p.variants.insert(shape, made.clone());
        }
        Ok(made)
    }

    fn compile(&mut self, code: &KernelCode, text: &str, sized: bool, args: &[Arg], parts: &[u32]) -> Result<Variant> {
        let shader = Shader { text: text.to_string(), uniforms: Vec::new(), lines: Vec::new() };
        check::validate(&code.name, &shader, self.target.capabilities())?;
        let layout = self.layouts.of(&self.device, args, parts);
        let pipeline = self.guarded(&format!("compiling kernel `{}`", code.name), || {
            let sizes = sized.then_some(&self.layouts.uniforms);
            let groups = [Some(&layout), sizes];
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&code.name),
                bind_group_layouts: if sized { &groups } else { &groups[..1] },
                immediate_size: 0,
            });
            let module = module(&self.device, &code.name, text);
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&code.name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Kernels write workgroup memory before they read it; the emulator checks that.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: self.cache.as_ref().map(|c| &c.cache),
            })
        })?;
        Ok(Variant { pipeline, layout, elements: Vec::new(), units: Vec::new() })
    }
}

/// Compiles the text. Accesses stay checked; only the counters that cut off endless loops are left out, where every loop counts up
/// to a size.
#[allow(unsafe_code)]
fn module(device: &wgpu::Device, name: &str, text: &str) -> wgpu::ShaderModule {
    let source = wgpu::ShaderSource::Wgsl(text.into());
    let desc = wgpu::ShaderModuleDescriptor { label: Some(name), source };
    if !super::counted::counted(text) {
        return device.create_shader_module(desc);
    }
    let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
    // SAFETY: the only check left out is the bound of loops. Every loop has the form of the printer's counted loops: the index grows
    // by a positive constant and nothing else changes it. With a step of 1 it must reach any end; kernels with larger steps have
    // ends of at most 2^31, which `Op::For` demands, so that the index does not wrap.
    unsafe { device.create_shader_module_trusted(desc, checks) }
}
