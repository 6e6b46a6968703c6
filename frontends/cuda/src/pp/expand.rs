//! Macro definition and expansion. A macro is disabled while its expansion is being read, and its name met there is painted:
//! it never expands later either (C11 6.10.3.4).

use super::Pp;
use crate::source::{At, Kind, Token};
use girih_base::Result;
use std::sync::Arc;

/// A macro.
#[derive(Clone)]
pub struct Macro {
    /// Parameter names; `None` for object-like macros.
    params: Option<Vec<Arc<str>>>,
    variadic: bool,
    body: Arc<Vec<Token>>,
}

/// Tokens being read, and the macro they came from.
pub struct Frame {
    tokens: Vec<Token>,
    at: usize,
    name: Option<Arc<str>>,
}

impl Frame {
    pub fn new(tokens: Vec<Token>) -> Frame {
        Frame { tokens, at: 0, name: None }
    }
}

/// Deepest nesting of expansions.
const MOST_FRAMES: usize = 400;

impl Pp<'_> {
    pub(super) fn define(&mut self, rest: &[Token], at: At) -> Result<()> {
        let Some(name) = rest.first().filter(|t| t.kind == Kind::Name) else {
            return Err(self.malformed(at, "a macro needs a name"));
        };
        let mut i = 1;
        let (mut params, mut variadic) = (None, false);
        if rest.get(1).is_some_and(|t| t.is("(") && !t.space) {
            let mut list = Vec::new();
            i = 2;
            loop {
                let Some(t) = rest.get(i) else {
                    return Err(self.malformed(name.at, "this macro's parameter list does not end"));
                };
                i += 1;
                if t.is(")") {
                    break;
                } else if t.is("...") {
                    variadic = true;
                    list.push("__VA_ARGS__".into());
                } else if t.kind == Kind::Name {
                    list.push(t.text.clone());
                    if rest.get(i).is_some_and(|t| t.is("...")) {
                        variadic = true;
                        i += 1;
                    }
                } else if !t.is(",") {
                    return Err(self.malformed(t.at, "a macro's parameters are names"));
                }
            }
            params = Some(list);
        }
        let body = Arc::new(rest[i..].to_vec());
        self.macros.insert(name.text.clone(), Macro { params, variadic, body });
        Ok(())
    }

    /// Expands everything in the frames.
    pub(super) fn expand(&mut self, mut frames: Vec<Frame>) -> Result<Vec<Token>> {
        let mut out = Vec::new();
        while let Some(top) = frames.last_mut() {
            let Some(token) = top.tokens.get(top.at).cloned() else {
                frames.pop();
                continue;
            };
            top.at += 1;
            self.spend(1, token.at)?;
            if token.kind != Kind::Name || token.painted {
                out.push(token);
                continue;
            }
            if let Some(special) = self.special(&token) {
                out.push(special);
                continue;
            }
            let Some(m) = self.macros.get(&token.text).cloned() else {
                out.push(token);
                continue;
            };
            if frames.iter().any(|f| f.name.as_ref() == Some(&token.text)) {
                out.push(Token { painted: true, ..token });
                continue;
            }
            let args = match &m.params {
                None => None,
                Some(params) => {
                    let open = frames.iter().rev().find_map(|f| f.tokens.get(f.at));
                    if !open.is_some_and(|t| t.is("(")) {
                        out.push(token);
                        continue;
                    }
                    Some(self.arguments(&mut frames, &token, params.len(), m.variadic)?)
                }
            };
            if frames.len() >= MOST_FRAMES {
                return Err(self.sources.error("U006", token.at, "macros are nested too deep", "while expanding this"));
            }
            let body = self.substitute(&m, args, &token, &frames)?;
            self.spend(body.len(), token.at)?;
            frames.push(Frame { tokens: body, at: 0, name: Some(token.text.clone()) });
        }
        Ok(out)
    }

    fn special(&mut self, t: &Token) -> Option<Token> {
        let (file, line) = self.sources.line(t.at);
        let (kind, text) = match &*t.text {
            "__LINE__" => (Kind::Number, line.to_string()),
            "__FILE__" => (Kind::Text, format!("{:?}", &*self.sources.files[file as usize].name)),
            "__COUNTER__" => {
                self.counter += 1;
                (Kind::Number, (self.counter - 1).to_string())
            }
            _ => return None,
        };
        Some(Token { kind, text: text.into(), ..t.clone() })
    }

    /// Reads the arguments of a call whose name was just read.
    fn arguments(
        &mut self,
        frames: &mut Vec<Frame>,
        name: &Token,
        params: usize,
        variadic: bool,
    ) -> Result<Vec<Vec<Token>>> {
        let mut args = vec![Vec::new()];
        let mut depth = 0;
        loop {
            let Some(top) = frames.last_mut() else {
                return Err(self.malformed(name.at, "the arguments of this macro do not end"));
            };
            let Some(t) = top.tokens.get(top.at).cloned() else {
                frames.pop();
                continue;
            };
            top.at += 1;
            self.spend(1, t.at)?;
            if t.is("(") {
                depth += 1;
                if depth == 1 {
                    continue;
                }
            } else if t.is(")") {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            } else if t.is(",") && depth == 1 && !(variadic && args.len() >= params) {
                args.push(Vec::new());
                continue;
            }
            if let Some(last) = args.last_mut() {
                last.push(t);
            }
        }
        if params == 0 && args.len() == 1 && args[0].is_empty() {
            args.clear();
        }
        if variadic && args.len() + 1 == params {
            args.push(Vec::new());
        }
        if args.len() != params {
            let text = format!("macro `{}` takes {params} arguments, got {}", name.text, args.len());
            return Err(self.malformed(name.at, &text));
        }
        Ok(args)
    }

    fn substitute(
        &mut self,
        m: &Macro,
        args: Option<Vec<Vec<Token>>>,
        used: &Token,
        frames: &[Frame],
    ) -> Result<Vec<Token>> {
        let args = args.unwrap_or_default();
        let params = m.params.as_deref().unwrap_or_default();
        let position = |t: &Token| params.iter().position(|p| t.kind == Kind::Name && *p == t.text);
        let mut full: Vec<Option<Vec<Token>>> = vec![None; args.len()];
        let mut out: Vec<Token> = Vec::new();
        let body = &m.body;
        let mut i = 0;
        let mut paste = false;
        while i < body.len() {
            let t = &body[i];
            if t.is("##") && !out.is_empty() && i + 1 < body.len() {
                paste = true;
                i += 1;
                continue;
            }
            let mut next: Vec<Token>;
            if t.is("#") && m.params.is_some() && body.get(i + 1).is_some_and(|t| position(t).is_some()) {
                let arg = position(&body[i + 1]).unwrap_or(0);
                i += 1;
                let text: String =
                    args[arg].iter().map(|t| format!("{}{}", if t.space { " " } else { "" }, t.text)).collect();
                next = vec![Token { kind: Kind::Text, text: format!("{:?}", text.trim()).into(), ..t.clone() }];
            } else if let Some(arg) = position(t) {
                let raw = paste || body.get(i + 1).is_some_and(|t| t.is("##"));
                if raw {
                    next = args[arg].clone();
                } else {
                    if full[arg].is_none() {
                        // Arguments expand on their own, with the same macros disabled.
                        let mut inner: Vec<Frame> = frames
                            .iter()
                            .filter(|f| f.name.is_some())
                            .map(|f| Frame { tokens: Vec::new(), at: 0, name: f.name.clone() })
                            .collect();
                        if inner.len() >= MOST_FRAMES {
                            return Err(self.sources.error("U006", t.at, "macros are nested too deep", "here"));
                        }
                        inner.push(Frame::new(args[arg].clone()));
                        full[arg] = Some(self.argument(inner)?);
                    }
                    next = full[arg].clone().unwrap_or_default();
                }
                self.spend(next.len(), used.at)?;
                if let Some(n) = next.first_mut() {
                    n.space = t.space;
                }
                // `, ## __VA_ARGS__` with nothing drops the comma.
                if paste && next.is_empty() && m.variadic && arg + 1 == params.len() {
                    if out.last().is_some_and(|t| t.is(",")) {
                        out.pop();
                    }
                    paste = false;
                } else if paste && m.variadic && arg + 1 == params.len() && out.last().is_some_and(|t| t.is(",")) {
                    paste = false;
                }
            } else {
                let at = self.sources.expanded(t.at, used.at);
                next = vec![Token { at, ..t.clone() }];
            }
            if paste && !next.is_empty() {
                if let Some(left) = out.pop() {
                    next[0] = self.paste(&left, &next[0]);
                }
                paste = false;
            } else if paste {
                paste = false;
            }
            out.extend(next);
            i += 1;
        }
        for t in &mut out {
            t.first = false;
        }
        Ok(out)
    }

    /// Expands an argument; the disabling frames stay below it until it is read.
    fn argument(&mut self, frames: Vec<Frame>) -> Result<Vec<Token>> {
        self.nested += 1;
        if self.nested > 200 {
            let at = frames.last().and_then(|f| f.tokens.first()).map_or(At(u32::MAX), |t| t.at);
            return Err(self.sources.error(
                "U006",
                at,
                "arguments of macros are nested too deep",
                "while expanding this",
            ));
        }
        // An empty frame would be dropped only when reached, which is after the argument on top of it.
        let done = self.expand(frames);
        self.nested -= 1;
        done
    }

    fn paste(&mut self, a: &Token, b: &Token) -> Token {
        let text = format!("{}{}", a.text, b.text);
        let first = text.chars().next().unwrap_or(' ');
        let kind = match first {
            c if c.is_ascii_digit() => Kind::Number,
            c if c.is_ascii_alphabetic() || c == '_' => Kind::Name,
            _ => Kind::Punct,
        };
        Token { kind, text: text.into(), painted: false, ..a.clone() }
    }
}
