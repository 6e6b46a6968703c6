//! The preprocessor: macros, conditionals and includes, with positions kept through every expansion and bounds on all of it.

mod condition;
mod expand;

use crate::lex::lex;
use crate::source::{At, Kind, Sources, Token};
use expand::{Frame, Macro};
use girih_base::{Diag, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most tokens that preprocessing may produce, so that a macro bomb is an error.
const MOST_TOKENS: usize = 4_000_000;
/// Deepest nesting of includes.
const MOST_INCLUDES: usize = 64;

/// The header of `assert`, which is built in.
const ASSERT: &str = "#ifdef NDEBUG\n#define assert(condition) ((void)0)\n#endif\n";

/// Finds included files: name as written, whether in angle brackets; `None` where there is no such file.
pub type Resolver<'r> = dyn Fn(&str, bool) -> Option<String> + 'r;

/// The result of preprocessing.
pub struct Unit {
    /// Files and positions.
    pub sources: Sources,
    /// The program.
    pub tokens: Vec<Token>,
    /// Included files that were not found; what they declare is missing.
    pub missing: Vec<Arc<str>>,
}

pub(crate) struct Pp<'r> {
    sources: Sources,
    macros: BTreeMap<Arc<str>, Macro>,
    out: Vec<Token>,
    spent: usize,
    depth: usize,
    once: BTreeSet<String>,
    seen: BTreeMap<String, usize>,
    missing: Vec<Arc<str>>,
    counter: u32,
    nested: u32,
    resolve: &'r Resolver<'r>,
}

/// Preprocesses a program.
///
/// # Errors
/// `U001` for malformed directives and macros, `U006` for an expansion beyond the limits.
pub fn preprocess(name: &str, text: &str, defines: &[(String, String)], resolve: &Resolver<'_>) -> Result<Unit> {
    let mut pp = Pp {
        sources: Sources::default(),
        macros: BTreeMap::new(),
        out: Vec::new(),
        spent: 0,
        depth: 0,
        once: BTreeSet::new(),
        seen: BTreeMap::new(),
        missing: Vec::new(),
        counter: 0,
        nested: 0,
        resolve,
    };
    let tokens = lex(&mut pp.sources, name, text)?;
    let built_in: String = PREDEFINED
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .chain(defines.iter().cloned())
        .map(|(n, v)| format!("#define {n} {v}\n"))
        .collect();
    let prelude = lex(&mut pp.sources, "<predefined>", &built_in)?;
    pp.file(prelude)?;
    pp.file(tokens)?;
    for header in crate::headers::needed(&pp.out) {
        // The program's macros do not reach into it.
        let tokens = lex(&mut pp.sources, header.file, header.text)?;
        let at = if header.first { 0 } else { pp.out.len() };
        pp.out.splice(at..at, tokens);
    }
    Ok(Unit { sources: pp.sources, tokens: pp.out, missing: pp.missing })
}

/// What the CUDA compiler defines. The architecture is the newest whose features are not tied to hardware of its own.
const PREDEFINED: &[(&str, &str)] = &[
    ("__CUDACC__", "1"),
    ("__NVCC__", "1"),
    ("__CUDA_ARCH__", "800"),
    ("__CUDACC_VER_MAJOR__", "12"),
    ("__CUDACC_VER_MINOR__", "4"),
    ("CUDART_VERSION", "12040"),
    ("CUDA_VERSION", "12040"),
    ("__cplusplus", "201703L"),
    ("__GIRIH__", "1"),
    ("__linux__", "1"),
    ("__x86_64__", "1"),
    ("__GNUC__", "11"),
    ("__SIZEOF_POINTER__", "8"),
];

struct Group {
    taking: bool,
    taken: bool,
    outer: bool,
    at: At,
}

impl Pp<'_> {
    fn spend(&mut self, n: usize, at: At) -> Result<()> {
        self.spent += n;
        if self.spent > MOST_TOKENS {
            return Err(self
                .sources
                .error(
                    "U006",
                    at,
                    format!("preprocessing makes more than {MOST_TOKENS} tokens"),
                    "while expanding this",
                )
                .help("a macro expands to itself many times over; split it"));
        }
        Ok(())
    }

    fn file(&mut self, tokens: Vec<Token>) -> Result<()> {
        let mut groups: Vec<Group> = Vec::new();
        let mut i = 0;
        while i < tokens.len() {
            let taking = groups.last().is_none_or(|g| g.taking);
            if tokens[i].first && tokens[i].is("#") {
                let end = (i + 1..tokens.len()).find(|j| tokens[*j].first).unwrap_or(tokens.len());
                self.directive(&tokens[i..end], &mut groups)?;
                i = end;
                continue;
            }
            let end = (i + 1..tokens.len()).find(|j| tokens[*j].first && tokens[*j].is("#")).unwrap_or(tokens.len());
            if taking {
                let run = Frame::new(tokens[i..end].to_vec());
                let expanded = self.expand(vec![run])?;
                self.out.extend(expanded);
            }
            i = end;
        }
        match groups.last() {
            Some(g) => Err(self.sources.error("U001", g.at, "this conditional has no `#endif`", "opened here")),
            None => Ok(()),
        }
    }

    fn directive(&mut self, line: &[Token], groups: &mut Vec<Group>) -> Result<()> {
        let Some(name) = line.get(1) else { return Ok(()) };
        let (at, rest) = (name.at, &line[2..]);
        let taking = groups.last().is_none_or(|g| g.taking);
        let defined = |pp: &Pp<'_>, t: Option<&Token>| t.is_some_and(|t| pp.macros.contains_key(&t.text));
        match &*name.text {
            "if" | "ifdef" | "ifndef" => {
                let yes = taking
                    && match &*name.text {
                        "ifdef" => defined(self, rest.first()),
                        "ifndef" => !defined(self, rest.first()),
                        _ => self.condition(rest, at)?,
                    };
                groups.push(Group { taking: yes, taken: yes, outer: taking, at });
            }
            "elif" | "else" => {
                let Some(g) = groups.last() else {
                    return Err(self.sources.error("U001", at, format!("`#{}` without `#if`", name.text), "here"));
                };
                let open = g.outer && !g.taken;
                let yes = open && (&*name.text == "else" || self.condition(rest, at)?);
                if let Some(g) = groups.last_mut() {
                    g.taking = yes;
                    g.taken |= yes;
                }
            }
            "endif" => {
                if groups.pop().is_none() {
                    return Err(self.sources.error("U001", at, "`#endif` without `#if`", "here"));
                }
            }
            _ if !taking => {}
            "define" => self.define(rest, at)?,
            "undef" => {
                rest.first().map(|t| self.macros.remove(&t.text));
            }
            "include" | "include_next" => self.include(rest, at)?,
            "error" => {
                let text: Vec<&str> = rest.iter().map(|t| &*t.text).collect();
                return Err(self.sources.error("U001", at, format!("#error {}", text.join(" ")), "reached here"));
            }
            "pragma" => {
                if rest.first().is_some_and(|t| t.is("once")) {
                    let file = self.sources.line(at).0;
                    let name = self.sources.files[file as usize].name.to_string();
                    self.once.insert(name);
                } else if rest.first().is_some_and(|t| t.is("unroll")) {
                    let mut token = name.clone();
                    let rest = self.expand(vec![Frame::new(rest.to_vec())])?;
                    let text: Vec<&str> = rest.iter().map(|t| &*t.text).collect();
                    (token.kind, token.text) = (Kind::Pragma, text.join(" ").into());
                    self.out.push(token);
                }
            }
            "warning" | "line" | "ident" => {}
            other => {
                return Err(self.sources.error("U001", at, format!("there is no directive `#{other}`"), "here"));
            }
        }
        Ok(())
    }

    fn include(&mut self, rest: &[Token], at: At) -> Result<()> {
        let spelled = match rest.first() {
            Some(t) if t.kind == Kind::Text || t.is("<") => rest.to_vec(),
            _ => self.expand(vec![Frame::new(rest.to_vec())])?,
        };
        let (name, angle) = match spelled.first() {
            Some(t) if t.kind == Kind::Text => (t.text.trim_matches('"').to_string(), false),
            Some(t) if t.is("<") => {
                let inner = spelled[1..].iter().take_while(|t| !t.is(">"));
                (inner.map(|t| &*t.text).collect(), true)
            }
            _ => return Err(self.sources.error("U001", at, "an include names a file in quotes or brackets", "here")),
        };
        if self.once.contains(&name) {
            return Ok(());
        }
        let times = self.seen.entry(name.clone()).or_insert(0);
        *times += 1;
        if *times > 256 || self.depth >= MOST_INCLUDES {
            return Err(self
                .sources
                .error("U006", at, format!("`{name}` is included again and again"), "here")
                .help("add `#pragma once` to it"));
        }
        let text = match (self.resolve)(&name, angle) {
            Some(text) => text,
            None if matches!(&*name, "cassert" | "assert.h") => ASSERT.into(),
            None => {
                if !crate::headers::known(&name) {
                    self.missing.push(name.into());
                }
                return Ok(());
            }
        };
        let tokens = lex(&mut self.sources, &name, &text)?;
        self.depth += 1;
        let done = self.file(tokens);
        self.depth -= 1;
        done
    }

    fn malformed(&self, at: At, what: &str) -> Box<Diag> {
        self.sources.error("U001", at, what, "here")
    }
}
