//! Programs as CUDA C++.

use crate::floats::KNOWN;
use crate::program::*;
use crate::types::*;

fn name(i: usize) -> String {
    match i {
        0..FIELDS => format!("v{i}"),
        FIELDS => "s.x".into(),
        6 => "s.y".into(),
        i => format!("a[{}]", i - ELEMENTS),
    }
}

/// A division or shift whose operands C leaves undefined is written with a guard that makes them defined.
struct Text<'p> {
    p: &'p Program,
    vars: Vec<Ty>,
    name: &'p dyn Fn(usize) -> String,
}

impl Text<'_> {
    fn of(&self, e: &Expr) -> String {
        match e {
            Expr::Var(i) => (self.name)(*i),
            Expr::Const(v, t) => format!("({}){v}", t.name),
            Expr::Real(v, HALF) => format!("__float2half({v:?}f)"),
            Expr::Real(v, DOUBLE) => format!("{v:?}"),
            Expr::Real(v, _) => format!("{v:?}f"),
            Expr::Un(op, a) => format!("({op}({}))", self.of(a)),
            Expr::Cast(t, a) => format!("(({})({}))", t.name, self.of(a)),
            Expr::Pick(c, a, b) => format!("(({}) ? ({}) : ({}))", self.of(c), self.of(a), self.of(b)),
            Expr::Elem(i) => format!("a[({}) & 3]", self.of(i)),
            Expr::Call(f, a, b) => format!("f{f}({}, {})", self.of(a), self.of(b)),
            Expr::Known(f, args) => {
                let args: Vec<String> = args.iter().map(|a| self.of(a)).collect();
                format!("{}({})", KNOWN[*f].name, args.join(", "))
            }
            Expr::Which(a) => format!("which({})", self.of(a)),
            Expr::Bin("/", a, b) if self.float(b) => format!("(({}) / ({}))", self.of(a), self.of(b)),
            Expr::Bin(op @ ("/" | "%"), a, b) => format!("(({}) {op} (({}) | 1))", self.of(a), self.of(b)),
            Expr::Bin(op @ ("<<" | ">>"), a, b) => format!("(({}) {op} (({}) & 31))", self.of(a), self.of(b)),
            Expr::Bin(op, a, b) => format!("(({}) {op} ({}))", self.of(a), self.of(b)),
        }
    }

    fn float(&self, e: &Expr) -> bool {
        type_of(&self.p.functions, e, &self.vars).float()
    }

    fn results(&self, out: &mut String) {
        for i in 0..VARIABLES {
            let bits = match self.vars[i] {
                FLOAT => "__float_as_int",
                DOUBLE => "__double_as_longlong",
                HALF => "__half_as_ushort",
                _ => "",
            };
            out.push_str(&format!("out[t * {VARIABLES} + {i}] = {bits}({});\n", name(i)));
        }
    }

    fn write(&self, list: &[Stmt], depth: usize, out: &mut String) {
        for s in list {
            let text = |e: &Expr| self.of(e);
            match s {
                Stmt::Set(i, op, e) => {
                    out.push_str(&format!("{} {}= {};\n", name(*i), op.unwrap_or_default(), text(e)))
                }
                Stmt::SetElem(i, e) => out.push_str(&format!("a[({}) & 3] = {};\n", text(i), text(e))),
                Stmt::Turn => out.push_str("turn(s);\n"),
                Stmt::Mix(e) => out.push_str(&format!("s = mix(s, {});\n", text(e))),
                Stmt::Bump(i, e) => out.push_str(&format!("bump({}, {});\n", name(*i), text(e))),
                Stmt::If(c, a, b) => {
                    out.push_str(&format!("if ({}) {{\n", text(c)));
                    self.write(a, depth, out);
                    out.push_str("} else {\n");
                    self.write(b, depth, out);
                    out.push_str("}\n");
                }
                Stmt::Switch(e, cases) => {
                    out.push_str(&format!("switch (({}) & 3) {{\n", text(e)));
                    for c in cases {
                        out.push_str(&c.label.map_or("default: {\n".into(), |l| format!("case {l}: {{\n")));
                        self.write(&c.body, depth, out);
                        out.push_str(if c.ends { "break;\n}\n" } else { "}\n" });
                    }
                    out.push_str("}\n");
                }
                Stmt::Loop(kind, n, c, body) => {
                    let i = format!("i{depth}");
                    let more = match c {
                        Expr::Const(1, _) => String::new(),
                        c => format!(" && ({})", text(c)),
                    };
                    let (head, tail) = match kind {
                        LoopKind::For => (format!("for (int {i} = 0; {i} < {n}{more}; {i}++) {{\n"), "}\n".into()),
                        LoopKind::While => (format!("{{ int {i} = 0;\nwhile ({i}++ < {n}{more}) {{\n"), "} }\n".into()),
                        LoopKind::Do => {
                            (format!("{{ int {i} = 0;\ndo {{\n"), format!("}} while (++{i} < {n}{more}); }}\n"))
                        }
                    };
                    out.push_str(&head);
                    self.write(body, depth + 1, out);
                    out.push_str(&tail);
                }
                Stmt::Vote(i, e) => {
                    let t = self.vars[*i].name;
                    out.push_str(&format!("{} += ({t})__popc(__ballot_sync(0xffffffff, {}));\n", name(*i), text(e)));
                }
                Stmt::Return(c) => {
                    out.push_str(&format!("if ({}) {{\n", text(c)));
                    self.results(out);
                    out.push_str("return;\n}\n");
                }
                Stmt::Break(c) => out.push_str(&format!("if ({}) break;\n", text(c))),
                Stmt::Continue(c) => out.push_str(&format!("if ({}) continue;\n", text(c))),
                Stmt::Exchange(to, from, by) => {
                    let (t, to, from) = (self.vars[*from].name, name(*to), name(*from));
                    out.push_str(&format!(
                        "{{\n__shared__ {t} shared[THREADS];\nshared[t] = {from};\n__syncthreads();\n"
                    ));
                    out.push_str(&format!("{to} = shared[(t + {by}) % blockDim.x];\n__syncthreads();\n}}\n"));
                }
                Stmt::Shuffle(to, from, bits) => {
                    out.push_str(&format!("{} = __shfl_xor_sync(0xffffffff, {}, {bits});\n", name(*to), name(*from)));
                }
            }
        }
    }
}

/// Lanes of pairs, and overloads that tell the type of their argument.
fn prelude(doubles: bool) -> String {
    let mut out = String::from(
        "__device__ __half second_sum(__half a, __half b, __half c) {
            return __high2half(__hadd2(__halves2half2(a, b), __halves2half2(a, c)));
        }
        __device__ __half second_product(__half a, __half b, __half c) {
            return __high2half(__hmul2(__halves2half2(a, b), __halves2half2(c, c)));
        }
        __device__ __half second_fused(__half a, __half b, __half c, __half d) {
            return __high2half(__hfma2(__halves2half2(a, b), __halves2half2(a, c), __halves2half2(a, d)));
        }
        __device__ int which(bool) { return 99; }\n",
    );
    for (i, t) in TYPES.iter().enumerate().filter(|(_, t)| doubles || **t != DOUBLE) {
        out.push_str(&format!("__device__ int which({}) {{ return {i}; }}\n", t.name));
    }
    out
}

impl Program {
    /// The program as CUDA C++, for blocks of `threads`; `k` is the name of its kernel.
    pub fn text(&self, kernel: &str, threads: usize) -> String {
        let t = |i: usize| self.types[i].name;
        let within =
            |vars: &[Ty], name: &dyn Fn(usize) -> String, e: &Expr| Text { p: self, vars: vars.to_vec(), name }.of(e);
        let mut out = format!("struct S {{ {} x; {} y; }};\n", t(FIELDS), t(FIELDS + 1));
        out.push_str("__device__ void turn(S& s) { auto x = s.x; s.x = s.y; s.y = x; }\n");
        for (i, f) in self.functions.iter().enumerate() {
            let name = |i: usize| format!("p{i}");
            let vars = f.params.map(|p| p.unwrap_or(INT));
            let text = |e: &Expr| within(&vars, &name, e);
            match f.ret {
                Some(ret) => {
                    let [a, b] = vars.map(|t| t.name);
                    out.push_str(&format!("__device__ {} f{i}({a} p0, {b} p1) {{\n", ret.name));
                }
                None => out.push_str(&format!("template<class A, class B> __device__ auto f{i}(A p0, B p1) {{\n")),
            }
            if let Some((c, e)) = &f.early {
                out.push_str(&format!("if ({}) return {};\n", text(c), text(e)));
            }
            out.push_str(&format!("return {};\n}}\n", text(&f.body)));
        }
        let of = [self.types[FIELDS], self.types[FIELDS + 1], self.mix.ty];
        let name_of = |i: usize| ["a.x", "a.y", "b"][i].to_string();
        let (x, y) = (within(&of, &name_of, &self.mix.x), within(&of, &name_of, &self.mix.y));
        out.push_str(&format!("__device__ S mix(S a, {} b) {{ a.x = {x}; a.y = {y}; return a; }}\n", self.mix.ty.name));
        let bump = within(&[INT, INT], &|i| ["x", "n"][i].to_string(), &self.bump);
        out.push_str(&format!(
            "template<class T> __device__ void bump(T& x, int n) {{ if (0 < n) x = {bump}; else x = n; }}\n"
        ));
        out.push_str(&format!(
            "__global__ void {kernel}(const int* in, const float* real, long long* out) {{\nint t = threadIdx.x;\n"
        ));
        for i in 0..FIELDS {
            let array = if self.types[i].float() { "real" } else { "in" };
            out.push_str(&format!("{} v{i} = {array}[t * 5 + {i}];\n", t(i)));
        }
        for (i, part) in [(3, "x"), (4, "y")] {
            let array = if self.types[FIELDS + i - 3].float() { "real" } else { "in" };
            out.push_str(&format!("{}s.{part} = {array}[t * 5 + {i}];\n", if i == 3 { "S s; " } else { "" }));
        }
        out.push_str(&format!("{} a[4];\nfor (int i = 0; i < 4; i++) a[i] = in[t * 5] * i;\n", t(ELEMENTS)));
        let text = Text { p: self, vars: self.types.clone(), name: &name };
        text.write(&self.body, 0, &mut out);
        text.results(&mut out);
        (out + "}\n").replace("THREADS", &threads.to_string())
    }

    /// What stands before every program.
    pub fn prelude(doubles: bool) -> String {
        format!("#include <cuda_fp16.h>\n{}", prelude(doubles))
    }
}
