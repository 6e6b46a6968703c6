//! Random programs.

use crate::floats::KNOWN;
use crate::types::*;

/// Variables of a thread: five of its own, two fields of a struct, four elements of an array.
pub const VARIABLES: usize = 11;
pub const FIELDS: usize = 5;
pub const ELEMENTS: usize = 7;

#[derive(Clone)]
pub enum Expr {
    Var(usize),
    Const(i64, Ty),
    Real(f64, Ty),
    Bin(&'static str, Box<Expr>, Box<Expr>),
    Un(&'static str, Box<Expr>),
    Cast(Ty, Box<Expr>),
    Pick(Box<Expr>, Box<Expr>, Box<Expr>),
    /// An element of the array.
    Elem(Box<Expr>),
    /// A function of the program.
    Call(usize, Box<Expr>, Box<Expr>),
    /// A function of CUDA.
    Known(usize, Vec<Expr>),
    /// Which of overloaded functions is called: the number of its parameter's type.
    Which(Box<Expr>),
}

#[derive(Clone, Copy, PartialEq)]
pub enum LoopKind {
    For,
    While,
    Do,
}

/// A part of a switch: without a label the default; it falls through unless it ends.
#[derive(Clone)]
pub struct Case {
    pub label: Option<i64>,
    pub body: Vec<Stmt>,
    pub ends: bool,
}

#[derive(Clone)]
pub enum Stmt {
    Set(usize, Option<&'static str>, Expr),
    SetElem(Expr, Expr),
    /// A function exchanges the fields of the struct.
    Turn,
    /// A function gets the struct by value and returns it.
    Mix(Expr),
    /// A function gets a variable of any type by reference.
    Bump(usize, Expr),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    Switch(Expr, Vec<Case>),
    /// At most so many rounds, while a condition holds.
    Loop(LoopKind, u32, Expr, Vec<Stmt>),
    Break(Expr),
    Continue(Expr),
    /// `v += popc(ballot(e))`.
    Vote(usize, Expr),
    /// Writes the results and returns.
    Return(Expr),
    /// Through shared memory, from the thread so many further on.
    Exchange(usize, usize, usize),
    /// From the lane whose number differs in these bits.
    Shuffle(usize, usize, usize),
}

/// `ret f(a, b) { if (c) return d; return body; }`, whose variables are its parameters. Without a type the parameters are those of
/// a template, and the result is that of the body.
#[derive(Clone)]
pub struct Function {
    pub ret: Option<Ty>,
    pub params: [Option<Ty>; 2],
    pub early: Option<(Expr, Expr)>,
    pub body: Expr,
}

impl Function {
    pub fn eval(&self, args: &[Number], eval: impl Fn(&Expr) -> Number) -> Number {
        let early = self.early.as_ref().filter(|(c, _)| truth(eval(c)));
        let v = eval(early.map_or(&self.body, |(_, e)| e));
        debug_assert!(args.len() == 2);
        self.ret.map_or(v, |t| convert(v, t))
    }
}

/// `S mix(S a, ty b) { a.x = x; a.y = y; return a; }`, whose variables are the fields and `b`.
#[derive(Clone)]
pub struct Mix {
    pub ty: Ty,
    pub x: Expr,
    pub y: Expr,
}

#[derive(Clone)]
pub struct Program {
    pub types: Vec<Ty>,
    pub functions: Vec<Function>,
    pub mix: Mix,
    /// What a variable becomes of itself and a number.
    pub bump: Expr,
    pub body: Vec<Stmt>,
}

impl Stmt {
    /// The lists of statements inside of this one.
    fn inside(&mut self) -> Vec<&mut Vec<Stmt>> {
        match self {
            Stmt::If(_, a, b) => vec![a, b],
            Stmt::Switch(_, cases) => cases.iter_mut().map(|c| &mut c.body).collect(),
            Stmt::Loop(.., body) => vec![body],
            _ => Vec::new(),
        }
    }
}

/// Leaves out the statement `n` in the order of the text; false where there are not as many.
pub fn leave_out(list: &mut Vec<Stmt>, n: &mut usize) -> bool {
    for i in 0..list.len() {
        if *n == 0 {
            list.remove(i);
            return true;
        }
        *n -= 1;
        if list[i].inside().into_iter().any(|l| leave_out(l, n)) {
            return true;
        }
    }
    false
}

/// The state, and what programs may have.
pub struct Gen {
    state: u64,
    votes: bool,
    /// How many of [`TYPES`].
    kinds: usize,
    functions: Vec<Function>,
    /// Elements may be read: not inside of functions.
    elements: bool,
}

impl Gen {
    pub fn new(seed: u64, votes: bool) -> Gen {
        let mut g = Gen { state: seed, votes, kinds: 8, functions: Vec::new(), elements: false };
        // Integers; floats and halves, too; doubles, too.
        g.kinds = [8, 10, 10, 11][g.n(4)];
        g
    }

    pub fn n(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) as usize % n
    }

    fn ty(&mut self) -> Ty {
        TYPES[self.n(self.kinds)]
    }

    /// Whether there are doubles.
    pub fn doubles(&self) -> bool {
        self.kinds == 11
    }

    /// A program of `parts` pieces for blocks of `threads`.
    pub fn program(&mut self, parts: usize, threads: usize) -> Program {
        for _ in 0..self.n(4) {
            let template = self.n(3) == 0;
            let f = if template {
                Function { ret: None, params: [None, None], early: None, body: self.generic(2) }
            } else {
                let (ret, params) = (self.ty(), [self.ty(), self.ty()]);
                let early = (self.n(3) == 0).then(|| (self.condition(&params, 1), self.value(&params, 2, ret)));
                let body = self.value(&params, 2, ret);
                Function { ret: Some(ret), params: params.map(Some), early, body }
            };
            self.functions.push(f);
        }
        let mut types: Vec<Ty> = (0..ELEMENTS).map(|_| self.ty()).collect();
        let last = self.ty();
        types.resize(VARIABLES, last);
        let of = [types[FIELDS], types[FIELDS + 1], self.ty()];
        let (x, y) = (self.value(&of, 2, of[0]), self.value(&of, 2, of[1]));
        let mix = Mix { ty: of[2], x, y };
        let bump = self.generic(2);
        self.elements = true;
        let mut body = Vec::new();
        for _ in 0..parts {
            body.extend(self.block(&types, 2, false));
            // All threads come here together.
            if !self.votes {
                let (to, from) = (self.n(ELEMENTS), self.n(ELEMENTS));
                let safe = !types[from].float() || types[to].bits >= 32 || types[to].float();
                match self.n(4) {
                    0 if safe => body.push(Stmt::Exchange(to, from, 1 + self.n(threads - 1))),
                    1 if safe => body.push(Stmt::Shuffle(to, from, 1 + self.n(threads.min(32) - 1))),
                    _ => {}
                }
            }
        }
        Program { types, functions: std::mem::take(&mut self.functions), mix, bump, body }
    }

    /// Of two numbers of any type.
    fn generic(&mut self, depth: u32) -> Expr {
        if depth == 0 || self.n(5) == 0 {
            return if self.n(3) == 0 { Expr::Const([1, 2, 7, 100][self.n(4)], INT) } else { Expr::Var(self.n(2)) };
        }
        let (a, b) = (Box::new(self.generic(depth - 1)), Box::new(self.generic(depth - 1)));
        match self.n(8) {
            0 => Expr::Pick(Box::new(self.generic(depth - 1)), a, b),
            1 => Expr::Un("-", a),
            2 => Expr::Which(a),
            k => Expr::Bin(["+", "-", "*", "<", "=="][k - 3], a, b),
        }
    }

    fn type_of(&self, e: &Expr, vars: &[Ty]) -> Ty {
        type_of(&self.functions, e, vars)
    }

    /// An expression that converts to a type in a way that is defined (but for words that do not hold a float) and unambiguous.
    fn value(&mut self, vars: &[Ty], depth: u32, t: Ty) -> Expr {
        let e = self.expr(vars, depth);
        let from = self.type_of(&e, vars);
        if from.float() && !t.float() && t.bits < 32 { Expr::Cast(INT, Box::new(e)) } else { e }
    }

    fn exactly(&mut self, vars: &[Ty], depth: u32, t: Ty) -> Expr {
        let e = self.value(vars, depth, t);
        if self.type_of(&e, vars) == t { e } else { Expr::Cast(t, Box::new(e)) }
    }

    fn unless(&self, e: Expr, vars: &[Ty], not: fn(Ty) -> bool, to: Ty) -> Expr {
        if not(self.type_of(&e, vars)) { Expr::Cast(to, Box::new(e)) } else { e }
    }

    fn condition(&mut self, vars: &[Ty], depth: u32) -> Expr {
        let e = self.expr(vars, depth);
        self.unless(e, vars, |t| t == HALF, FLOAT)
    }

    fn integer(&mut self, vars: &[Ty], depth: u32) -> Expr {
        let e = self.expr(vars, depth);
        self.unless(e, vars, Ty::float, INT)
    }

    /// Both are halves, or none is.
    fn alike(&self, a: Expr, b: Expr, vars: &[Ty]) -> (Expr, Expr) {
        let is = |e: &Expr| self.type_of(e, vars) == HALF;
        match (is(&a), is(&b)) {
            (true, false) => (Expr::Cast(FLOAT, Box::new(a)), b),
            (false, true) => (a, Expr::Cast(FLOAT, Box::new(b))),
            _ => (a, b),
        }
    }

    fn expr(&mut self, vars: &[Ty], depth: u32) -> Expr {
        if depth == 0 || self.n(6) == 0 {
            return match self.n(3) {
                0 if self.kinds > 8 && self.n(2) == 0 => {
                    let t = TYPES[8 + self.n(self.kinds - 8)];
                    Expr::Real([0.0, 0.5, 1.0, 1.5, 3.0, 0.1, 100.25, 2049.0, 1e-3][self.n(9)], t)
                }
                0 => {
                    let t = TYPES[self.n(4)];
                    let v = [0, 1, 2, 5, 7, 255, 1000, 65537, 0x7fff_ffff][self.n(9)];
                    Expr::Const(v, t)
                }
                _ => Expr::Var(self.n(vars.len().min(ELEMENTS))),
            };
        }
        let d = depth - 1;
        match self.n(if self.kinds > 8 { 19 } else { 15 }) {
            0 => {
                let op = ["-", "~", "!"][self.n(3)];
                let a = match op {
                    "-" => self.expr(vars, d),
                    "~" => self.integer(vars, d),
                    _ => self.condition(vars, d),
                };
                Expr::Un(op, Box::new(a))
            }
            1 => {
                let t = self.ty();
                Expr::Cast(t, Box::new(self.value(vars, d, t)))
            }
            2 => {
                let (a, b) = (self.expr(vars, d), self.expr(vars, d));
                let (a, b) = self.alike(a, b, vars);
                Expr::Pick(Box::new(self.condition(vars, d)), Box::new(a), Box::new(b))
            }
            3 if self.elements => Expr::Elem(Box::new(self.integer(vars, d))),
            4 if !self.functions.is_empty() => {
                let f = self.n(self.functions.len());
                let args = [0, 1].map(|i| match self.functions[f].params[i] {
                    Some(t) => self.value(vars, d, t),
                    None => self.condition(vars, d),
                });
                let [a, b] = args.map(Box::new);
                Expr::Call(f, a, b)
            }
            5 => Expr::Which(Box::new(self.expr(vars, d))),
            15.. => {
                let f = loop {
                    let f = self.n(KNOWN.len());
                    let has = |t: &Ty| *t == DOUBLE;
                    if self.doubles() || !(KNOWN[f].args.iter().any(has) || has(&KNOWN[f].ret)) {
                        break f;
                    }
                };
                Expr::Known(f, KNOWN[f].args.iter().map(|t| self.exactly(vars, d, *t)).collect())
            }
            _ => {
                const OPS: [&str; 18] =
                    ["+", "-", "*", "/", "<", ">", "<=", ">=", "==", "!=", "&&", "||", "%", "&", "|", "^", "<<", ">>"];
                let op = OPS[self.n(18)];
                let (a, b) = match op {
                    "%" | "&" | "|" | "^" | "<<" | ">>" => (self.integer(vars, d), self.integer(vars, d)),
                    "&&" | "||" => (self.condition(vars, d), self.condition(vars, d)),
                    _ => {
                        let (a, b) = (self.expr(vars, d), self.expr(vars, d));
                        self.alike(a, b, vars)
                    }
                };
                Expr::Bin(op, Box::new(a), Box::new(b))
            }
        }
    }

    fn block(&mut self, vars: &[Ty], depth: u32, in_loop: bool) -> Vec<Stmt> {
        (0..1 + self.n(3)).map(|_| self.stmt(vars, depth, in_loop)).collect()
    }

    fn switch(&mut self, vars: &[Ty], depth: u32, in_loop: bool) -> Stmt {
        // Threads that enter at several labels do not vote, nor leave a loop in which others do.
        let votes = std::mem::replace(&mut self.votes, false);
        let in_loop = in_loop && !votes;
        let e = self.integer(vars, 2);
        let mut labels = vec![Some(0), Some(1), Some(2), Some(3), None];
        let mut cases = Vec::new();
        for _ in 0..2 + self.n(3) {
            let at = self.n(labels.len());
            let label = labels.remove(at);
            let body = self.block(vars, depth, in_loop);
            cases.push(Case { label, body, ends: self.n(3) > 0 });
        }
        self.votes = votes;
        Stmt::Switch(e, cases)
    }

    fn stmt(&mut self, vars: &[Ty], depth: u32, in_loop: bool) -> Stmt {
        match self.n(if depth > 0 { 14 } else { 9 }) {
            9 | 10 => Stmt::If(
                self.condition(vars, 2),
                self.block(vars, depth - 1, in_loop),
                self.block(vars, depth - 1, in_loop),
            ),
            11 | 12 => {
                let kind = [LoopKind::For, LoopKind::For, LoopKind::While, LoopKind::Do][self.n(4)];
                let c = if self.n(2) == 0 { Expr::Const(1, INT) } else { self.condition(vars, 2) };
                Stmt::Loop(kind, 1 + self.n(5) as u32, c, self.block(vars, depth - 1, true))
            }
            13 => self.switch(vars, depth - 1, in_loop),
            3 if in_loop && self.n(2) == 0 => {
                let e = self.condition(vars, 2);
                if self.n(2) == 0 { Stmt::Break(e) } else { Stmt::Continue(e) }
            }
            4 if self.n(2) == 0 => Stmt::SetElem(self.integer(vars, 2), self.value(vars, 2, vars[ELEMENTS])),
            5 if self.n(4) == 0 => Stmt::Turn,
            6 if self.n(3) == 0 => {
                // The type of the other argument is known to the struct's function only: any converts.
                Stmt::Mix(self.value(vars, 2, UCHAR))
            }
            7 if self.n(3) == 0 => {
                let i = self.n(VARIABLES);
                match vars[i] {
                    HALF => Stmt::Turn,
                    _ => Stmt::Bump(i, self.integer(vars, 2)),
                }
            }
            0 if self.votes => Stmt::Vote(self.n(ELEMENTS), self.condition(vars, 2)),
            1 if self.votes && self.n(8) == 0 => Stmt::Return(self.condition(vars, 2)),
            _ => {
                const OPS: [&str; 6] = ["+", "-", "*", "^", "|", "&"];
                let i = self.n(ELEMENTS);
                if self.n(3) > 0 {
                    return Stmt::Set(i, None, self.value(vars, 3, vars[i]));
                }
                let op = OPS[self.n(if vars[i].float() { 3 } else { 6 })];
                let e = match vars[i] {
                    HALF => self.exactly(vars, 3, HALF),
                    t if t.float() => self.condition(vars, 3),
                    _ => self.integer(vars, 3),
                };
                Stmt::Set(i, Some(op), e)
            }
        }
    }
}

/// The type of an expression.
pub fn type_of(functions: &[Function], e: &Expr, vars: &[Ty]) -> Ty {
    let of = |e: &Expr| type_of(functions, e, vars);
    match e {
        Expr::Var(i) => vars[*i],
        Expr::Const(_, t) | Expr::Real(_, t) | Expr::Cast(t, _) => *t,
        Expr::Bin(op, a, b) => result_type(op, of(a), of(b)),
        Expr::Un("!", _) => BOOL,
        Expr::Un(_, a) => promote(of(a)),
        Expr::Pick(_, a, b) => {
            let (a, b) = (of(a), of(b));
            if a == b { a } else { common_type(a, b) }
        }
        Expr::Elem(_) => vars[ELEMENTS],
        Expr::Call(f, a, b) => {
            let f = &functions[*f];
            f.ret.unwrap_or_else(|| type_of(functions, &f.body, &[of(a), of(b)]))
        }
        Expr::Known(f, _) => KNOWN[*f].ret,
        Expr::Which(_) => INT,
    }
}
