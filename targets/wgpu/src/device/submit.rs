//! Batches of commands as one encoder: launches share compute passes, copies come between them.

use super::WgpuDevice;
use super::bind::BindKey;
use super::debug::bound;
use super::memory::Piece;
use super::pipeline::UNIFORM_WINDOW;
use crate::target::uniform_words;
use crate::wgsl::MAX_GROUPS;
use girih_base::{Bindings, Diag, Result};
use girih_exec::{Command, KernelRef, MemRef};
use std::collections::BTreeMap;
use wgpu::BufferUsages;

/// Bind groups kept for later batches; sizes that change every run would fill memory otherwise.
const MAX_BIND_GROUPS: usize = 4096;

/// The buffer that uniforms of a batch lie in.
#[derive(Default)]
pub struct Uniforms {
    buffer: Option<(wgpu::Buffer, wgpu::BindGroup)>,
    words: Vec<u8>,
    offsets: BTreeMap<Vec<u32>, u32>,
}

impl Uniforms {
    /// The offset of these words, equal ones stored once.
    fn place(&mut self, words: Vec<u32>, alignment: u64) -> u32 {
        if let Some(at) = self.offsets.get(&words) {
            return *at;
        }
        let at = self.words.len();
        words.iter().for_each(|w| self.words.extend(w.to_le_bytes()));
        let end = at as u64 + UNIFORM_WINDOW;
        self.words.resize(end.next_multiple_of(alignment.max(UNIFORM_WINDOW)) as usize, 0);
        self.offsets.insert(words, at as u32);
        at as u32
    }
}

/// A command with everything looked up.
pub(super) enum Ready {
    Launch { pipeline: wgpu::ComputePipeline, group: wgpu::BindGroup, uniforms: Option<u32>, groups: [u32; 2] },
    Copy { from: wgpu::Buffer, from_offset: u64, to: wgpu::Buffer, to_offset: u64, bytes: u64 },
}

impl WgpuDevice {
    pub(super) fn submit_commands(&mut self, commands: &[Command<'_>]) -> Result<()> {
        self.lengths.clear();
        let mut ready = Vec::with_capacity(commands.len());
        for command in commands {
            match command {
                Command::Launch { kernel, args, bindings } if self.speaks(*kernel) => {
                    self.flush(std::mem::take(&mut ready))?;
                    self.launch_speaking(*kernel, args, bindings)?;
                }
                Command::Launch { kernel, args, bindings } => {
                    if let Some(launch) = self.prepare(*kernel, args, bindings)? {
                        ready.push(launch);
                    }
                }
                Command::Copy { from, to } => {
                    let bytes = from.bytes.min(to.bytes);
                    let source = self.memory.pieces(from.buffer, from.offset..from.offset.saturating_add(bytes))?;
                    let target = self.memory.pieces(to.buffer, to.offset..to.offset.saturating_add(bytes))?;
                    if bytes == 0 {
                        continue;
                    }
                    if [from.offset, to.offset, bytes].iter().any(|n| n % 4 != 0) {
                        // The device copies whole words; these few bytes go through the host, in order.
                        self.flush(std::mem::take(&mut ready))?;
                        let mut data = vec![0; bytes as usize];
                        self.read_buffer(from.buffer, from.offset, &mut data)?;
                        self.write_buffer(to.buffer, to.offset, &data)?;
                        continue;
                    }
                    copies(&source, &target, &mut ready);
                }
            }
        }
        self.flush(ready)
    }

    /// Looks up pipeline, bind group and sizes; nothing for an empty grid.
    pub(super) fn prepare(&mut self, kernel: KernelRef, args: &[MemRef], bindings: &Bindings) -> Result<Option<Ready>> {
        let Some(p) = self.pipelines.get(&kernel) else {
            return Err(Diag::error("W018", format!("there is no kernel {}", kernel.0)));
        };
        let name = &p.code.name;
        let takes = bound(&p.code).len();
        if args.len() != takes {
            return Err(Diag::error("W018", format!("kernel `{name}` takes {takes} buffers, got {}", args.len())));
        }
        let groups = p
            .groups
            .eval(bindings)
            .map_err(|s| Diag::error("W006", format!("kernel `{name}` needs a value for `{s}`")))?;
        if groups <= 0 {
            return Ok(None);
        }
        let most = MAX_GROUPS as i64 * MAX_GROUPS as i64;
        let Some(total) = u32::try_from(groups).ok().filter(|_| groups <= most) else {
            return Err(Diag::error(
                "W016",
                format!("kernel `{name}` would run {groups} workgroups, at most {most} fit"),
            ));
        };
        let mut words = uniform_words(name, &p.code.uniforms, total, bindings)?;
        for a in args {
            // Each on its own, so that what does not lie in its buffer is refused whatever it is bound with.
            self.memory.pieces(a.buffer, a.offset..a.offset.saturating_add(a.bytes))?;
        }
        let slots = self.slots(kernel, args);
        let pieces = |a: &MemRef| self.memory.bindings(a.buffer, a.offset..a.offset.saturating_add(a.bytes));
        let pieces: Vec<Vec<Piece>> = slots.ranges.iter().map(pieces).collect::<Result<_>>()?;
        let variant = self.variant(kernel, &slots, pieces.iter().map(|p| p.len() as u32).collect())?;
        words.extend(self.starts(kernel, args, &slots, &variant.units)?);
        for (i, pieces) in pieces.iter().enumerate().filter(|(_, p)| p.len() > 1) {
            words.extend(self.cuts(kernel, pieces, variant.elements[i])?);
        }
        let alignment = self.device.limits().min_uniform_buffer_offset_alignment as u64;
        let uniforms = (!words.is_empty()).then(|| self.uniforms.place(words, alignment));
        let key = BindKey { kernel, args: args.iter().map(|a| (a.buffer, a.offset, a.bytes)).collect() };
        let group = match self.bind_groups.get(&key) {
            Some(group) => group.clone(),
            None => {
                let group = self.bind(kernel, &variant, &pieces)?;
                if self.bind_groups.len() >= MAX_BIND_GROUPS {
                    self.bind_groups.clear();
                }
                self.bind_groups.insert(key, group.clone());
                group
            }
        };
        let groups = [total.min(MAX_GROUPS), total.div_ceil(MAX_GROUPS)];
        Ok(Some(Ready::Launch { pipeline: variant.pipeline, group, uniforms, groups }))
    }

    /// Encodes and submits.
    pub(super) fn flush(&mut self, ready: Vec<Ready>) -> Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        self.upload_uniforms()?;
        let scratch = self.scratch(&ready)?;
        let clock = self.clock(&ready)?;
        self.guarded("running a batch", || {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass: Option<wgpu::ComputePass<'static>> = None;
            let mut launches = 0;
            for command in &ready {
                match command {
                    Ready::Launch { pipeline, group, uniforms, groups } => {
                        if clock.is_some() {
                            pass = None;
                        }
                        let open = pass.get_or_insert_with(|| {
                            let timestamp_writes = clock.as_ref().map(|set| wgpu::ComputePassTimestampWrites {
                                query_set: set,
                                beginning_of_pass_write_index: Some(2 * launches),
                                end_of_pass_write_index: Some(2 * launches + 1),
                            });
                            let desc = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
                            encoder.begin_compute_pass(&desc).forget_lifetime()
                        });
                        launches += 1;
                        open.set_pipeline(pipeline);
                        open.set_bind_group(0, group, &[]);
                        if let (Some(at), Some((_, sizes))) = (uniforms, &self.uniforms.buffer) {
                            open.set_bind_group(1, sizes, &[*at]);
                        }
                        open.dispatch_workgroups(groups[0], groups[1], 1);
                    }
                    Ready::Copy { from, from_offset, to, to_offset, bytes } => {
                        pass = None;
                        match scratch.as_ref().filter(|_| from == to) {
                            // A buffer cannot be copied to itself.
                            Some(between) => {
                                encoder.copy_buffer_to_buffer(from, *from_offset, between, 0, *bytes);
                                encoder.copy_buffer_to_buffer(between, 0, to, *to_offset, *bytes);
                            }
                            None => encoder.copy_buffer_to_buffer(from, *from_offset, to, *to_offset, *bytes),
                        }
                    }
                }
            }
            drop(pass);
            self.queue.submit([encoder.finish()]);
        })?;
        self.uniforms.words.clear();
        self.uniforms.offsets.clear();
        match clock {
            Some(set) => self.read_clock(&set),
            None => Ok(()),
        }
    }

    fn upload_uniforms(&mut self) -> Result<()> {
        let needed = self.uniforms.words.len() as u64;
        if needed == 0 {
            return Ok(());
        }
        if self.uniforms.buffer.as_ref().is_none_or(|(b, _)| b.size() < needed) {
            let size = needed.next_power_of_two().max(64 * UNIFORM_WINDOW);
            let buffer = self.make_buffer(size, BufferUsages::UNIFORM | BufferUsages::COPY_DST)?;
            let range = wgpu::BufferBinding { buffer: &buffer, offset: 0, size: wgpu::BufferSize::new(UNIFORM_WINDOW) };
            let entries = [wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(range) }];
            let desc =
                wgpu::BindGroupDescriptor { label: Some("sizes"), layout: &self.layouts.uniforms, entries: &entries };
            let group = self.guarded("binding sizes", || self.device.create_bind_group(&desc))?;
            self.uniforms.buffer = Some((buffer, group));
        }
        let Some((buffer, _)) = &self.uniforms.buffer else { return Ok(()) };
        self.guarded("writing sizes", || self.queue.write_buffer(buffer, 0, &self.uniforms.words))
    }

    /// Room for the largest copy within one buffer.
    fn scratch(&self, ready: &[Ready]) -> Result<Option<wgpu::Buffer>> {
        let inside = ready.iter().filter_map(|c| match c {
            Ready::Copy { from, to, bytes, .. } if from == to => Some(*bytes),
            _ => None,
        });
        inside.max().map(|n| self.make_buffer(n, BufferUsages::COPY_SRC | BufferUsages::COPY_DST)).transpose()
    }

    /// Two time stamps for each launch, when profiling.
    fn clock(&self, ready: &[Ready]) -> Result<Option<wgpu::QuerySet>> {
        let launches = ready.iter().filter(|c| matches!(c, Ready::Launch { .. })).count() as u32;
        let on = self.options.profile && self.target.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        if !on || launches == 0 || 2 * launches > wgpu::QUERY_SET_MAX_QUERIES {
            return Ok(None);
        }
        let desc = wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count: 2 * launches };
        self.guarded("making clocks", || self.device.create_query_set(&desc)).map(Some)
    }

    fn read_clock(&mut self, set: &wgpu::QuerySet) -> Result<()> {
        let bytes = set.count() as u64 * 8;
        let resolved = self.make_buffer(bytes, BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC)?;
        self.guarded("reading clocks", || {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.resolve_query_set(set, 0..set.count(), &resolved, 0);
            self.queue.submit([encoder.finish()]);
        })?;
        let mut raw = vec![0; bytes as usize];
        self.read_staged(&resolved, &mut raw)?;
        let tick = self.queue.get_timestamp_period() as f64 * 1e-9;
        let at = |b: &[u8]| b.try_into().map_or(0, u64::from_le_bytes);
        let length = |pair: &[u8]| at(&pair[8..]).saturating_sub(at(&pair[..8])) as f64 * tick;
        self.lengths.extend(raw.chunks_exact(16).map(length));
        Ok(())
    }
}

/// Copies between two ranges of equal size whose pieces need not match. A copy within one buffer goes in steps that scratch memory
/// can hold.
fn copies(from: &[Piece], to: &[Piece], ready: &mut Vec<Ready>) {
    const INSIDE: u64 = 16 << 20;
    let (mut f, mut t, mut skip_from, mut skip_to) = (0, 0, 0, 0);
    while let (Some(a), Some(b)) = (from.get(f), to.get(t)) {
        let inside = if a.buffer == b.buffer { INSIDE.min(a.buffer.size() / 4 * 4) } else { u64::MAX };
        let bytes = (a.bytes - skip_from).min(b.bytes - skip_to).min(inside);
        ready.push(Ready::Copy {
            from: a.buffer.clone(),
            from_offset: a.offset + skip_from,
            to: b.buffer.clone(),
            to_offset: b.offset + skip_to,
            bytes,
        });
        skip_from += bytes;
        skip_to += bytes;
        if skip_from == a.bytes {
            (f, skip_from) = (f + 1, 0);
        }
        if skip_to == b.bytes {
            (t, skip_to) = (t + 1, 0);
        }
    }
}
