//! naga as the gate for every kernel, and as the way to other shading languages.

use crate::wgsl::Shader;
use girih_base::{Diag, Loc, Result};
use naga::back;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Languages that kernels can be translated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// SPIR-V binary, version 1.3.
    Spirv,
    /// Metal Shading Language 2.4.
    Msl,
    /// HLSL, shader model 6.0.
    Hlsl,
    /// GLSL 4.30.
    Glsl,
}

/// What a translation gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Translated {
    /// Source text.
    Text(String),
    /// SPIR-V words.
    Words(Vec<u32>),
}

/// Parses and validates a printed kernel.
///
/// # Errors
/// `W002` with naga's reason and the source location of the line it complains about.
pub fn validate(name: &str, shader: &Shader, capabilities: Capabilities) -> Result<()> {
    module(&shader.text, capabilities).map(|_| ()).map_err(|fault| {
        let loc = |line: u32| {
            shader.lines.iter().rev().find(|(at, _)| *at <= line).map_or(Loc::unknown(), |(_, loc)| loc.clone())
        };
        fault.diag(name, &shader.text, fault.line.map_or(Loc::unknown(), loc))
    })
}

/// Translates WGSL text.
///
/// # Errors
/// `W002` when the text is not valid, `W004` when the language cannot express it.
pub fn translate(name: &str, wgsl: &str, language: Language, capabilities: Capabilities) -> Result<Translated> {
    let (module, info) = module(wgsl, capabilities).map_err(|f| f.diag(name, wgsl, Loc::unknown()))?;
    let write = || match language {
        Language::Spirv => {
            let options = back::spv::Options { lang_version: (1, 3), ..Default::default() };
            back::spv::write_vec(&module, &info, &options, None).map(Translated::Words).map_err(|e| e.to_string())
        }
        Language::Msl => {
            let options =
                back::msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
            let pipeline = back::msl::PipelineOptions::default();
            back::msl::write_string(&module, &info, &options, &pipeline)
                .map(|(text, _)| Translated::Text(text))
                .map_err(|e| e.to_string())
        }
        Language::Hlsl => {
            let options = back::hlsl::Options {
                shader_model: back::hlsl::ShaderModel::V6_0,
                fake_missing_bindings: true,
                ..Default::default()
            };
            let pipeline = back::hlsl::PipelineOptions::default();
            let mut text = String::new();
            let mut writer = back::hlsl::Writer::new(&mut text, &options, &pipeline);
            let done = writer.write(&module, &info, None).map(|_| ()).map_err(|e| e.to_string());
            done.map(|()| Translated::Text(text))
        }
        Language::Glsl => glsl(&module, &info),
    };
    let refused =
        |why: &str| Diag::error("W004", format!("kernel `{name}` has no {language:?} form")).note(why.to_string());
    // naga's writers panic on a few valid modules (64-bit floats in MSL).
    match catch_unwind(AssertUnwindSafe(write)) {
        Ok(Ok(out)) => Ok(out),
        Ok(Err(why)) => Err(refused(&why)),
        Err(_) => Err(refused("the writer gave up")),
    }
}

fn glsl(module: &naga::Module, info: &naga::valid::ModuleInfo) -> Result<Translated, String> {
    let options = back::glsl::Options { version: back::glsl::Version::Desktop(430), ..Default::default() };
    let pipeline = back::glsl::PipelineOptions {
        shader_stage: naga::ShaderStage::Compute,
        entry_point: "main".into(),
        multiview: None,
    };
    let mut text = String::new();
    let policies = naga::proc::BoundsCheckPolicies::default();
    let mut writer =
        back::glsl::Writer::new(&mut text, module, info, &options, &pipeline, policies).map_err(|e| e.to_string())?;
    writer.write().map_err(|e| e.to_string())?;
    Ok(Translated::Text(text))
}

struct Fault {
    message: String,
    line: Option<u32>,
}

impl Fault {
    fn diag(&self, name: &str, text: &str, loc: Loc) -> Box<Diag> {
        let mut diag = Diag::error("W002", format!("the WGSL of kernel `{name}` is not valid: {}", self.message))
            .at(&loc, "made from this");
        if let Some(line) = self.line {
            let source = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
            diag = diag.note(format!("line {line}: {}", source.trim()));
        }
        diag.help("this is a fault of the compiler: please report it with the kernel's source")
    }
}

fn module(
    text: &str,
    capabilities: Capabilities,
) -> std::result::Result<(naga::Module, naga::valid::ModuleInfo), Fault> {
    let parsed = catch_unwind(|| naga::front::wgsl::parse_str(text))
        .map_err(|_| Fault { message: "the parser gave up".into(), line: None })?;
    let module = parsed
        .map_err(|e| Fault { message: e.message().to_string(), line: e.location(text).map(|l| l.line_number) })?;
    let info = Validator::new(ValidationFlags::all(), capabilities).validate(&module).map_err(|e| {
        let mut message = e.as_inner().to_string();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(e.as_inner());
        while let Some(c) = cause {
            message = format!("{message}: {c}");
            cause = c.source();
        }
        Fault { message, line: e.location(text).map(|l| l.line_number) }
    })?;
    Ok((module, info))
}
