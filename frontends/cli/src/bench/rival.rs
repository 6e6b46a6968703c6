//! Rivals: a Python child process that runs the same workloads on demand, so that its runs alternate with ours.

use girih_base::{Diag, Result};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The script, part of the binary so that it runs anywhere.
const SCRIPT: &str = include_str!("../../../../tests/rivals/rivals.py");

/// One rival library in its own process.
pub struct Rival {
    /// Name and version.
    pub name: String,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Rival {
    /// Starts the named rivals, or every one that this Python has.
    ///
    /// # Errors
    /// `C011` when Python does not start or a named rival is not installed.
    pub fn start(python: &Path, wanted: &[String]) -> Result<Vec<Rival>> {
        let all = ["numpy".to_string(), "jax".into(), "llama_cpp".into()];
        let mut found = Vec::new();
        for name in if wanted.is_empty() { &all } else { wanted } {
            match Rival::one(python, name) {
                Ok(rival) => found.push(rival),
                Err(e) if wanted.is_empty() && e.code == "C012" => {}
                Err(e) => return Err(e),
            }
        }
        match found.is_empty() {
            true => Err(Diag::error("C011", format!("`{}` has no rival installed", python.display()))
                .help("install numpy, jax or llama-cpp-python for it")),
            false => Ok(found),
        }
    }

    fn one(python: &Path, name: &str) -> Result<Rival> {
        let start = |e: std::io::Error| {
            Diag::error("C011", format!("`{}` does not start: {e}", python.display()))
                .help("give the path of a Python interpreter")
        };
        let mut child = Command::new(python)
            .args(["-c", SCRIPT, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(start)?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Diag::error("C011", "the rival has no pipes"));
        };
        let mut rival = Rival { name: name.into(), child, to, from: BufReader::new(from) };
        let hello = rival.answer().map_err(|_| Diag::error("C012", format!("`{}` has no {name}", python.display())))?;
        if let Some(version) = hello.get("version").and_then(Value::as_str) {
            rival.name = format!("{name} {version}");
        }
        Ok(rival)
    }

    /// Prepares a workload and warms it up; whether the rival has it.
    pub fn prepare(&mut self, workload: &str) -> Result<bool> {
        let answer = self.ask(&format!("prepare {workload}"))?;
        Ok(answer.get("ok").and_then(Value::as_bool).unwrap_or(false))
    }

    /// Seconds of one run of what was prepared.
    pub fn time(&mut self) -> Result<f64> {
        let answer = self.ask("run")?;
        answer.get("seconds").and_then(Value::as_f64).ok_or_else(|| self.silent())
    }

    fn ask(&mut self, line: &str) -> Result<Value> {
        writeln!(self.to, "{line}").and_then(|()| self.to.flush()).map_err(|_| self.silent())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        match self.from.read_line(&mut line) {
            Ok(n) if n > 0 => serde_json::from_str(&line).map_err(|_| self.silent()),
            _ => Err(self.silent()),
        }
    }

    fn silent(&self) -> Box<Diag> {
        Diag::error("C013", format!("the rival {} gave no answer", self.name))
            .help("run tests/rivals/rivals.py by hand to see why")
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // It ends by itself when its input closes; this is for one that hangs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
