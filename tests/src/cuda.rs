//! CUDA kernels as data: files of kernels, each below a line that says how it is launched.
//!
//! ```text
//! // launch: add<float> grid=4 block=32 a=arange:f32[100] c=zeros:f32[100] n=100
//! ```
//!
//! Arguments are in the order of the parameters: arrays by what they hold, numbers, `null`, or `bytes:` and hexadecimal digits for a
//! struct. `shared=` gives dynamic shared memory, `subgroups=` the widths that the checker runs with, `close=` how many units in the
//! last place of the largest element floats may differ between devices. A line that ends in `// error: CODE` is what the checker finds.

use girih_base::{DType, Diag, Result, codec};
use girih_cuda::{Argument, Compiled, LaunchShape, Loaded, Module, Value, caps};
use girih_driver::Target;
use girih_exec::{Device, MemRef};
use std::path::{Path, PathBuf};

/// A kernel and how it is launched.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file, without its folder.
    pub file: String,
    /// The text of the file.
    pub source: String,
    /// Where included files are.
    pub folder: PathBuf,
    /// The kernel with its template arguments.
    pub kernel: String,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// Widths of subgroups to check with.
    pub subgroups: Vec<u32>,
    /// How far floats may lie apart.
    pub close: f64,
    /// The arguments in order.
    pub args: Vec<(String, Given)>,
    /// Code and line of what the checker finds.
    pub error: Option<(String, u32)>,
}

/// An argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Memory; not written yet where the flag is false.
    Array(DType, Vec<u8>, bool),
    /// A number as it is written.
    Number(String),
    /// A struct's bytes.
    Bytes(Vec<u8>),
    /// A null pointer.
    Null,
}

/// An array after a launch.
#[derive(Clone, Debug)]
pub struct Written {
    /// Name of the argument.
    pub name: String,
    /// Type of its elements.
    pub dtype: DType,
    /// The elements.
    pub bytes: Vec<u8>,
}

/// Every case of the `.cu` files in a folder, file after file.
pub fn cases(folder: &Path) -> std::result::Result<Vec<Case>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<_> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "cu")).collect();
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let source = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut open = Vec::new();
        for (line, text) in (1u32..).zip(source.lines()) {
            if let Some(rest) = text.trim().strip_prefix("// launch: ") {
                // Several launches of one kernel stand together.
                if line > 1
                    && !source.lines().nth(line as usize - 2).is_some_and(|l| l.trim().starts_with("// launch: "))
                {
                    all.append(&mut open);
                }
                open.push(case(&file, &source, rest).map_err(|e| format!("{file}:{line}: {e}"))?);
            }
            if let Some((_, code)) = text.split_once("// error: ") {
                open.iter_mut().for_each(|c: &mut Case| c.error = Some((code.trim().into(), line)));
            }
        }
        all.append(&mut open);
    }
    Ok(all)
}

/// Launches of kernels in other files: lines of a file's name and what stands behind `// launch:`.
pub fn launches(text: &str, folder: &Path) -> std::result::Result<Vec<Case>, String> {
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines
        .map(|line| {
            let (file, rest) = line.split_once(' ').ok_or_else(|| format!("`{line}`"))?;
            let path = folder.join(file);
            let source = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            Ok(Case { folder: folder.into(), ..case(file, &source, rest).map_err(|e| format!("`{line}`: {e}"))? })
        })
        .collect()
}

fn case(file: &str, source: &str, text: &str) -> std::result::Result<Case, String> {
    // Template arguments may contain spaces.
    let (kernel, rest) =
        match text.find('>').filter(|_| text.find('<').is_some_and(|i| i < text.find('=').unwrap_or(usize::MAX))) {
            Some(end) => text.split_at(end + 1),
            None => text.split_at(text.find(' ').ok_or("no launch")?),
        };
    let mut c = Case {
        file: file.into(),
        source: source.into(),
        folder: PathBuf::new(),
        kernel: kernel.trim().into(),
        grid: [1; 3],
        block: [1; 3],
        shared: 0,
        subgroups: vec![32],
        close: 0.0,
        args: Vec::new(),
        error: None,
    };
    let extents = |v: &str| -> std::result::Result<[u32; 3], String> {
        let mut out = [1; 3];
        for (o, n) in out.iter_mut().zip(v.split(',')) {
            *o = n.parse().map_err(|_| format!("`{v}`"))?;
        }
        Ok(out)
    };
    for word in rest.split_whitespace() {
        let (name, v) = word.split_once('=').ok_or_else(|| format!("`{word}`"))?;
        match name {
            "grid" => c.grid = extents(v)?,
            "block" => c.block = extents(v)?,
            "shared" => c.shared = v.parse().map_err(|_| format!("`{v}`"))?,
            // What the checker rightly finds in a program of others.
            "finds" => c.error = Some((v.into(), 0)),
            "close" => c.close = v.parse().map_err(|_| format!("`{v}`"))?,
            "subgroups" => c.subgroups = v.split(',').filter_map(|n| n.parse().ok()).collect(),
            _ => c.args.push((name.into(), given(v)?)),
        }
    }
    Ok(c)
}

fn given(text: &str) -> std::result::Result<Given, String> {
    if text == "null" {
        return Ok(Given::Null);
    }
    let Some((kind, rest)) = text.split_once(':') else { return Ok(Given::Number(text.into())) };
    if kind == "bytes" {
        let byte = |i: usize| u8::from_str_radix(&rest[i..i + 2], 16).map_err(|e| e.to_string());
        return (0..rest.len() / 2).map(|i| byte(2 * i)).collect::<std::result::Result<_, _>>().map(Given::Bytes);
    }
    let wrong = || format!("`{text}` is no array");
    let (dtype, n) = rest.trim_end_matches(']').split_once('[').ok_or_else(wrong)?;
    let (dtype, n): (DType, usize) = (DType::from_name(dtype).ok_or_else(wrong)?, n.parse().map_err(|_| wrong())?);
    // Numbers from 0 to one below a limit: `below50`.
    let below = kind.strip_prefix("below").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let known = ["arange", "mixed", "bits", "noise", "positive", "lowest", "zeros", "empty"];
    if below.is_none() && !known.contains(&kind) {
        return Err(wrong());
    }
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let value = |i: usize| -> f64 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        match kind {
            "arange" => i as f64,
            // Whole numbers of both signs, exact in every type of 16 bits and more.
            "mixed" => ((state >> 40) % 201) as f64 - 100.0,
            "bits" => (state >> 32) as f64,
            "noise" => (state >> 40) as f64 / (1u64 << 23) as f64 - 1.0,
            "positive" => (state >> 40) as f64 / (1u64 << 24) as f64 + 0.01,
            "lowest" => f64::NEG_INFINITY,
            _ => below.map_or(0.0, |n: u64| ((state >> 40) % n) as f64),
        }
    };
    let values: Vec<f64> = (0..n).map(value).collect();
    let bytes = if dtype.is_float() {
        codec::encode_floats(dtype, &values)
    } else {
        let size = (dtype.bits() as usize / 8).max(1);
        values.iter().flat_map(|v| (*v as i64).to_le_bytes().into_iter().take(size)).collect()
    };
    Ok(Given::Array(dtype, bytes, kind != "empty"))
}

impl Case {
    /// `file.cu::kernel`.
    pub fn name(&self) -> String {
        format!("{}::{}", self.file, self.kernel)
    }

    /// The shape of the launch.
    pub fn shape(&self) -> LaunchShape {
        let axes = (1..=3).rev().find(|a| self.grid[*a as usize - 1] > 1).unwrap_or(1);
        let nulls =
            self.args.iter().enumerate().filter(|(_, (_, g))| *g == Given::Null).fold(0, |n, (i, _)| n | 1 << i);
        LaunchShape { dynamic_shared: self.shared, nulls, ..LaunchShape::new(self.block, axes) }
    }

    /// Translates it for a target.
    ///
    /// # Errors
    /// What the translator refuses.
    pub fn compile(&self, target: &dyn Target) -> Result<Compiled> {
        let include = |name: &str, _: bool| std::fs::read_to_string(self.folder.join(name)).ok();
        Module::parse(&self.source, &self.file, &include)?.compile(&self.kernel, &self.shape(), caps(target))
    }

    /// Runs it; gives the arrays.
    ///
    /// # Errors
    /// What the translator, the target and the device refuse, and what the checker finds.
    pub fn run(&self, target: &dyn Target, device: &mut dyn Device) -> Result<Vec<Written>> {
        let compiled = self.compile(target)?;
        let mut numbers: Vec<Vec<u8>> = Vec::new();
        for (i, (_, g)) in self.args.iter().enumerate() {
            numbers.push(match g {
                Given::Number(text) => number(text, i, &compiled)?,
                Given::Bytes(b) => b.clone(),
                _ => Vec::new(),
            });
        }
        let loaded = Loaded::new(compiled, target, device)?;
        let mut memory = Vec::new();
        for (_, g) in &self.args {
            let Given::Array(_, bytes, written) = g else { continue };
            let buffer = device.allocate(bytes.len().next_multiple_of(16) as u64)?;
            if *written {
                let mut padded = bytes.clone();
                padded.resize(bytes.len().next_multiple_of(4), 0);
                device.write(buffer, 0, &padded)?;
            }
            memory.push(MemRef { buffer, offset: 0, bytes: bytes.len().next_multiple_of(4) as u64 });
        }
        let mut next = memory.iter();
        let values = self.args.iter().zip(&numbers).map(|((_, g), b)| match g {
            Given::Array(..) => next.next().map_or(Value::Null, |m| Value::Memory(*m)),
            Given::Null => Value::Null,
            _ => Value::Bytes(b),
        });
        let values: Vec<Value<'_>> = values.collect();
        loaded.launch(device, self.grid, &values)?;
        device.synchronize()?;
        let mut out = Vec::new();
        let mut places = memory.iter();
        for (name, g) in &self.args {
            let Given::Array(dtype, bytes, _) = g else { continue };
            let Some(m) = places.next() else { continue };
            let mut data = vec![0; bytes.len().next_multiple_of(4)];
            device.read(m.buffer, 0, &mut data)?;
            data.truncate(bytes.len());
            device.free(m.buffer);
            out.push(Written { name: name.clone(), dtype: *dtype, bytes: data });
        }
        Ok(out)
    }
}

/// A number as the parameter's type has it.
fn number(text: &str, parameter: usize, compiled: &Compiled) -> Result<Vec<u8>> {
    let wrong = || Diag::error("C005", format!("`{text}` for parameter {parameter}"));
    let found = compiled.arguments.iter().find_map(|a| match a {
        Argument::Scalar { parameter: p, dtype, .. } if *p == parameter => Some(*dtype),
        _ => None,
    });
    let dtype = found.ok_or_else(wrong)?;
    if dtype.is_float() {
        return Ok(codec::encode_floats(dtype, &[text.parse().map_err(|_| wrong())?]));
    }
    let v: i128 = text.parse().map_err(|_| wrong())?;
    Ok(v.to_le_bytes()[..(dtype.bits() as usize / 8).max(1)].to_vec())
}

impl Written {
    /// The first element that is another in `other`; floats may differ by `close` units in the last place of the largest element.
    pub fn differs(&self, other: &Written, close: f64) -> Option<String> {
        let size = (self.dtype.bits() as usize / 8).max(1);
        let (n, show) = (self.bytes.len() / size, |b: &[u8], i: usize| format!("{:02x?}", &b[i * size..][..size]));
        if !self.dtype.is_float() {
            let at = (0..n).find(|i| self.bytes[i * size..][..size] != other.bytes[i * size..][..size])?;
            return Some(format!("{}[{at}]: {} and {}", self.name, show(&self.bytes, at), show(&other.bytes, at)));
        }
        let floats = |b: &[u8]| codec::decode_floats(self.dtype, b, n).unwrap_or_default();
        let (x, y) = (floats(&self.bytes), floats(&other.bytes));
        let scale = x.iter().filter(|v| v.is_finite()).fold(0f64, |m, v| m.max(v.abs()));
        let epsilon = match self.dtype {
            DType::F64 => f64::EPSILON,
            DType::F16 => 2f64.powi(-10),
            DType::Bf16 => 2f64.powi(-7),
            _ => f32::EPSILON as f64,
        };
        let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= close * epsilon * scale;
        let at = (0..n).find(|i| !same(x[*i], y[*i]))?;
        Some(format!("{}[{at}]: {} and {}", self.name, x[at], y[at]))
    }
}
