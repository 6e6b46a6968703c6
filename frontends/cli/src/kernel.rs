//! Files with kernels: `softmax.py::softmax_kernel`, `scale.cu::scale<float, 4>`.

use crate::output::read_text;
use crate::rig::unknown;
use girih_base::{Diag, Result};
use std::path::{Path, PathBuf};

/// The kernels of a file.
pub enum Source {
    /// In Triton's language.
    Triton(girih_triton::Module),
    /// In CUDA C++.
    Cuda(Box<girih_cuda::Module>),
}

/// A file, and the kernel that was named behind `::`.
pub struct File {
    /// The path as given.
    pub path: String,
    /// Its text.
    pub text: String,
    /// The kernel's name, with template arguments.
    pub kernel: Option<String>,
    /// What is in it.
    pub source: Source,
}

/// Whether this names a file of kernels.
pub fn is_kernel_file(input: &str) -> bool {
    let path = input.split("::").next().unwrap_or_default();
    matches!(Path::new(path).extension().and_then(|e| e.to_str()), Some("py" | "cu" | "cuh"))
}

impl File {
    /// Reads and parses it. `macros` are defined before the first line of CUDA.
    ///
    /// # Errors
    /// `C003` when it cannot be read, `C004` for another kind of file, and what its parser finds.
    pub fn open(input: &str, macros: &[(String, String)]) -> Result<File> {
        let (path, kernel) = match input.split_once("::") {
            Some((path, kernel)) => (path, Some(kernel.to_string())),
            None => (input, None),
        };
        if !is_kernel_file(path) {
            return Err(unknown("kind of kernel file", path, &[".py", ".cu", ".cuh"]));
        }
        let text = read_text(Path::new(path))?;
        let source = if path.ends_with(".py") {
            Source::Triton(girih_triton::Module::with_resolver(&text, path, Box::new(python))?)
        } else {
            let folder = Path::new(path).parent().unwrap_or(Path::new("")).to_path_buf();
            let include = move |name: &str, _: bool| std::fs::read_to_string(folder.join(name)).ok();
            Source::Cuda(Box::new(girih_cuda::Module::parse_with(&text, path, macros, &include)?))
        };
        Ok(File { path: path.into(), text, kernel, source })
    }

    /// Names of its kernels, with what they take.
    pub fn kernels(&self) -> Vec<(String, Vec<String>)> {
        match &self.source {
            Source::Triton(m) => m
                .kernels()
                .iter()
                .map(|k| {
                    let list = m.parameters(k).unwrap_or_default();
                    let show = |p: girih_triton::Parameter| {
                        if p.constexpr { format!("{}: constexpr", p.name) } else { p.name }
                    };
                    (k.clone(), list.into_iter().map(show).collect())
                })
                .collect(),
            Source::Cuda(m) => m
                .kernels()
                .into_iter()
                .map(|k| {
                    let template =
                        if k.template.is_empty() { String::new() } else { format!("<{}>", k.template.join(", ")) };
                    (k.handle + &template, k.params)
                })
                .collect(),
        }
    }

    /// The kernel that was named, or the only one.
    ///
    /// # Errors
    /// `C006` where there are several or none.
    pub fn kernel(&self) -> Result<String> {
        match (&self.kernel, &self.kernels()[..]) {
            (Some(k), _) => Ok(k.clone()),
            (None, [(only, _)]) if !only.contains('<') => Ok(only.clone()),
            (None, []) => Err(Diag::error("C006", format!("`{}` has no kernel", self.path))),
            (None, all) => {
                let names: Vec<&str> = all.iter().map(|(k, _)| k.as_str()).collect();
                Err(Diag::error("C006", format!("`{}` has several kernels", self.path))
                    .note(format!("kernels: {}", names.join(", ")))
                    .help(format!("name one: {}::{}", self.path, names[0])))
            }
        }
    }

    /// The error with the line of this file under its first position, where it has none yet.
    pub fn excerpt(&self, mut diag: Box<Diag>) -> Box<Diag> {
        for label in &mut diag.labels {
            let Some((file, line, column)) = label.loc.position() else { continue };
            let Some(whole) = self.text.lines().nth(line.saturating_sub(1) as usize) else { continue };
            if file != self.path || label.text.contains('\n') {
                continue;
            }
            let shown = whole.trim_start();
            let indent = whole.chars().count() - shown.chars().count();
            let pad = " ".repeat(line.to_string().len());
            let caret = " ".repeat((column as usize).saturating_sub(1 + indent));
            label.text = format!("{}\n {pad} |\n {line} | {}\n {pad} | {caret}^", label.text, shown.trim_end());
        }
        diag
    }
}

/// Finds what a Python file imports: beside it, or under one of the folders it is in.
fn python(name: &str, from: &str) -> Option<(String, String)> {
    let dots = name.chars().take_while(|c| *c == '.').count();
    let path: PathBuf = name[dots..].split('.').filter(|p| !p.is_empty()).collect();
    let folders: Vec<&Path> = Path::new(from).ancestors().skip(1).collect();
    let roots = if dots > 0 { folders.get(dots - 1..dots)? } else { &folders[..] };
    let try_at = |root: &&Path| {
        [root.join(&path).with_extension("py"), root.join(&path).join("__init__.py")]
            .into_iter()
            .find_map(|file| Some((file.display().to_string(), std::fs::read_to_string(&file).ok()?)))
    };
    roots.iter().find_map(try_at)
}
