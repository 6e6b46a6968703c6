//! Kernels as pipelines.

use super::WgpuDevice;
use crate::check;
use crate::target::fnv1a;
use crate::wgsl::Shader;
use girih_base::{Diag, Dim, Result};
use girih_exec::KernelRef;
use girih_plan::{Arg, Format, KernelCode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of uniforms that one launch sees; 64 symbols.
pub const UNIFORM_WINDOW: u64 = 256;

/// A loaded kernel.
pub struct Pipeline {
    /// Name, for messages.
    pub name: String,
    /// The code of the kernel, to find equal ones.
    code: KernelCode,
    /// The compiled pipeline.
    pub pipeline: wgpu::ComputePipeline,
    /// Layout of its buffers.
    pub layout: wgpu::BindGroupLayout,
    /// How each argument is bound.
    pub args: Vec<Arg>,
    /// Symbols passed as u32.
    pub uniforms: Vec<Arc<str>>,
    /// Number of workgroups.
    pub groups: Dim,
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

    fn of(&mut self, device: &wgpu::Device, args: &[Arg]) -> wgpu::BindGroupLayout {
        let key: Vec<bool> = args.iter().map(|a| a.read_only).collect();
        let make = || {
            let storage = |(i, a): (usize, &Arg)| {
                entry(i as u32, wgpu::BufferBindingType::Storage { read_only: a.read_only }, false)
            };
            let entries: Vec<_> = args.iter().enumerate().map(storage).collect();
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
        };
        self.buffers.entry(key).or_insert_with(make).clone()
    }
}

impl WgpuDevice {
    pub(super) fn load_kernel(&mut self, code: &KernelCode) -> Result<KernelRef> {
        let key = fnv1a(code.text.as_bytes());
        let same = |k: &&KernelRef| self.pipelines[k.0 as usize].code == *code;
        if let Some(known) = self.by_text.get(&key).and_then(|all| all.iter().find(same)) {
            return Ok(*known);
        }
        let pipeline = self.build(code)?;
        self.pipelines.push(pipeline);
        let kernel = KernelRef(self.pipelines.len() as u32 - 1);
        self.by_text.entry(key).or_default().push(kernel);
        Ok(kernel)
    }

    fn build(&mut self, code: &KernelCode) -> Result<Pipeline> {
        if code.format != Format::Wgsl {
            return Err(Diag::error("W019", format!("kernel `{}` is not WGSL", code.name))
                .help("compile the graph for this device's target"));
        }
        let most = self.device.limits().max_storage_buffers_per_shader_stage;
        if code.args.len() > most as usize || code.uniforms.len() as u64 * 4 > UNIFORM_WINDOW {
            let (args, uniforms) = (code.args.len(), code.uniforms.len());
            return Err(Diag::error("W005", format!("kernel `{}` has {args} buffers and {uniforms} sizes", code.name))
                .note(format!("the device binds {most} buffers and {} sizes", UNIFORM_WINDOW / 4)));
        }
        let shader = Shader { text: code.text.to_string(), uniforms: Vec::new(), lines: Vec::new() };
        check::validate(&code.name, &shader, self.target.capabilities())?;
        let layout = self.layouts.of(&self.device, &code.args);
        let pipeline = self.guarded(&format!("compiling kernel `{}`", code.name), || {
            let sizes = (!code.uniforms.is_empty()).then_some(&self.layouts.uniforms);
            let groups = [Some(&layout), sizes];
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&code.name),
                bind_group_layouts: if sizes.is_some() { &groups } else { &groups[..1] },
                immediate_size: 0,
            });
            let module = module(&self.device, code);
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
        let groups = code.grid.iter().fold(Dim::ONE, |n, d| &n * d);
        let (name, args, uniforms) = (code.name.clone(), code.args.clone(), code.uniforms.clone());
        Ok(Pipeline { name, code: code.clone(), pipeline, layout, args, uniforms, groups })
    }
}

/// Compiles the text. Accesses stay checked; only the counters that cut off endless loops are left out, where every loop counts up
/// to a size.
#[allow(unsafe_code)]
fn module(device: &wgpu::Device, code: &KernelCode) -> wgpu::ShaderModule {
    let source = wgpu::ShaderSource::Wgsl(code.text.as_ref().into());
    let desc = wgpu::ShaderModuleDescriptor { label: Some(&code.name), source };
    let endless = ["loop {", "while (", "while("].iter().any(|word| code.text.contains(word));
    if endless {
        return device.create_shader_module(desc);
    }
    let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
    // SAFETY: the only check left out is the bound of loops. The printer writes `for` loops for counted loops alone, whose index
    // grows by a positive constant up to a size below 2^31, so none is endless; any other loop is written with `loop`.
    unsafe { device.create_shader_module_trusted(desc, checks) }
}
