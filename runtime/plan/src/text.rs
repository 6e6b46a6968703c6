//! A plan as text, for people.

use crate::{Buffer, Format, Place, Plan, Port, Step};
use std::fmt::{Display, Formatter, Result};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "plan {} for {}", self.name, self.target)?;
        for s in &self.symbols {
            let step = if s.multiple_of > 1 { format!(" step {}", s.multiple_of) } else { String::new() };
            writeln!(f, "  symbol {} {}..={}{step}", s.name, s.min, s.max)?;
        }
        for (what, list) in
            [("input", &self.inputs), ("weight", &self.weights), ("state", &self.states), ("output", &self.outputs)]
        {
            list.iter().try_for_each(|p| writeln!(f, "  {what} {p}"))?;
        }
        let m = self.memory();
        writeln!(
            f,
            "  memory {} bytes: weights {}, states {}, arena {}, kept {}, in and out {}",
            m.total(),
            m.weights,
            m.states,
            m.arena,
            m.kept,
            m.ports
        )?;
        for (i, b) in self.buffers.iter().enumerate() {
            writeln!(f, "  b{i}: {b}")?;
        }
        for k in &self.kernels {
            let language = match k.format {
                Format::Tile => "tile",
                Format::Wgsl => "wgsl",
                Format::Simt => "simt",
            };
            let grid: Vec<String> = k.grid.iter().map(|d| d.to_string()).collect();
            let (lines, grid) = (k.text.lines().count(), grid.join(", "));
            writeln!(
                f,
                "  kernel {} ({language}, {lines} lines) over [{grid}], about {} flops, {} bytes",
                k.name, k.flops, k.traffic
            )?;
        }
        for (what, steps) in [("init", &self.init), ("run", &self.steps)] {
            if !steps.is_empty() {
                writeln!(f, "  {what}")?;
                self.steps_text(f, steps, 4)?;
            }
        }
        Ok(())
    }
}

impl Plan {
    fn steps_text(&self, f: &mut Formatter<'_>, steps: &[Step], indent: usize) -> Result {
        let pad = " ".repeat(indent);
        for s in steps {
            match s {
                Step::Launch { kernel, args } => {
                    let code = self.kernels.get(*kernel as usize);
                    let name = code.map_or("?", |k| &*k.name);
                    let args = args.iter().enumerate().map(|(i, a)| {
                        let written = code.and_then(|k| k.args.get(i)).is_some_and(|u| u.written);
                        format!("{}b{}", if written { "&" } else { "" }, a.0)
                    });
                    writeln!(f, "{pad}{name}({})", args.collect::<Vec<_>>().join(", "))?;
                }
                Step::Copy { from, from_offset, to, to_offset, bytes } => {
                    writeln!(f, "{pad}copy {bytes} bytes from b{}+{from_offset} to b{}+{to_offset}", from.0, to.0)?;
                }
                Step::Repeat { symbol, count, body } => {
                    writeln!(f, "{pad}for {symbol} in 0..{count}")?;
                    self.steps_text(f, body, indent + 2)?;
                }
                Step::While { test, flag, body } => {
                    writeln!(f, "{pad}while b{} after", flag.0)?;
                    self.steps_text(f, test, indent + 4)?;
                    writeln!(f, "{pad}do")?;
                    self.steps_text(f, body, indent + 2)?;
                }
                Step::Branch { choice, branches, .. } => {
                    for (i, b) in branches.iter().enumerate() {
                        writeln!(f, "{pad}{}if b{} is {i}", if i > 0 { "else " } else { "" }, choice.0)?;
                        self.steps_text(f, b, indent + 2)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Display for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let shape: Vec<String> = self.shape.iter().map(|d| d.to_string()).collect();
        write!(f, "{}: {}[{}]", self.name, self.dtype, shape.join(", "))
    }
}

impl Display for Buffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} bytes, ", self.bytes)?;
        match &self.place {
            Place::Input(i) => write!(f, "input {i}")?,
            Place::Weight(i) => write!(f, "weight {i}")?,
            Place::State(i) => write!(f, "state {i}")?,
            Place::Output(i) => write!(f, "output {i}")?,
            Place::Constant(_) => write!(f, "constant")?,
            Place::Derived => write!(f, "made once")?,
            Place::Arena(at) => write!(f, "arena at {at}")?,
        }
        write!(f, ": {}", self.label)
    }
}
