//! Questions about the syntax tree: what a piece of code assigns, whether it returns, whether all threads must reach it together.

use super::*;
use crate::ast::*;

/// A part of the tree.
pub(crate) enum Node<'a> {
    Expr(&'a Expr),
    Stmt(&'a Stmt),
}

/// Calls `f` on every expression and statement inside, until it says stop (`true`).
pub(crate) fn any_stmt(s: &Stmt, f: &mut dyn FnMut(Node<'_>) -> bool) -> bool {
    if f(Node::Stmt(s)) {
        return true;
    }
    match &s.kind {
        StmtKind::Decl(vars) => vars.iter().any(|v| any_var(v, f)),
        StmtKind::Expr(e) | StmtKind::Return(Some(e)) | StmtKind::Assert(e, _) => any_expr(e, f),
        StmtKind::Block(list) => list.iter().any(|s| any_stmt(s, f)),
        StmtKind::If(init, c, a, b, _) => {
            any_stmt(init, f) || any_expr(c, f) || any_stmt(a, f) || b.as_ref().is_some_and(|b| any_stmt(b, f))
        }
        StmtKind::For(init, c, step, body, _) => {
            any_stmt(init, f)
                || c.as_ref().is_some_and(|c| any_expr(c, f))
                || step.as_ref().is_some_and(|c| any_expr(c, f))
                || any_stmt(body, f)
        }
        StmtKind::Each(v, range, body) => any_var(v, f) || any_expr(range, f) || any_stmt(body, f),
        StmtKind::While(c, body) | StmtKind::Do(body, c) => any_expr(c, f) || any_stmt(body, f),
        StmtKind::Switch(e, cases) => any_expr(e, f) || cases.iter().any(|c| c.body.iter().any(|s| any_stmt(s, f))),
        StmtKind::Asm(asm) => asm.outputs.iter().chain(&asm.inputs).any(|(_, e)| any_expr(e, f)),
        _ => false,
    }
}

fn any_var(v: &Var, f: &mut dyn FnMut(Node<'_>) -> bool) -> bool {
    match &v.init {
        Some(Init::Value(e)) => any_expr(e, f),
        Some(Init::Args(args, _)) => args.iter().any(|e| any_expr(e, f)),
        None => false,
    }
}

pub(crate) fn any_expr(e: &Expr, f: &mut dyn FnMut(Node<'_>) -> bool) -> bool {
    if f(Node::Expr(e)) {
        return true;
    }
    match &e.kind {
        ExprKind::Unary(_, a)
        | ExprKind::Step(_, _, a)
        | ExprKind::Member(a, ..)
        | ExprKind::Cast(_, _, a)
        | ExprKind::Designated(_, a)
        | ExprKind::Sizeof(a) => any_expr(a, f),
        ExprKind::Binary(_, a, b) | ExprKind::Assign(_, a, b) | ExprKind::Comma(a, b) | ExprKind::Index(a, b) => {
            any_expr(a, f) || any_expr(b, f)
        }
        ExprKind::Choose(a, b, c) => any_expr(a, f) || any_expr(b, f) || any_expr(c, f),
        ExprKind::Call(callee, args) => any_expr(callee, f) || args.iter().any(|a| any_expr(a, f)),
        ExprKind::Construct(_, args, _) | ExprKind::List(args) => args.iter().any(|a| any_expr(a, f)),
        ExprKind::Lambda(l) => l.made.iter().any(|m| any_expr(&m.1, f)) || any_stmt(&l.body, f),
        _ => false,
    }
}

/// Built-in functions that all threads of a block, or of a warp, reach together.
pub(crate) fn is_collective(name: &str) -> bool {
    name.starts_with("__shfl")
        || name.starts_with("__threadfence")
        || name.starts_with("__syncthreads")
        || name.starts_with("__match_")
        || matches!(name, "__syncwarp" | "__any_sync" | "__all_sync" | "__ballot_sync" | "__any" | "__all" | "__ballot")
        || matches!(
            name,
            "__activemask" | "sync" | "shfl" | "shfl_down" | "shfl_up" | "shfl_xor" | "ballot" | "any" | "all"
        )
        || matches!(name, "reduce" | "inclusive_scan" | "exclusive_scan" | "match_any" | "match_all" | "__barrier_sync")
        || name.starts_with("__reduce_")
        || matches!(name, "load_matrix_sync" | "store_matrix_sync" | "mma_sync" | "fill_fragment" | "coalesced_threads")
}

/// The name a call goes by.
pub(crate) fn callee(e: &Expr) -> Option<&Arc<str>> {
    match &e.kind {
        ExprKind::Name(n) => Some(&n.last().id),
        ExprKind::Member(_, part, _) => Some(&part.id),
        _ => None,
    }
}

impl Lowerer<'_> {
    /// Whether all threads must reach something in this statement together.
    pub fn collective(&self, s: &Stmt) -> bool {
        any_stmt(s, &mut |n| self.collective_node(n))
    }

    pub fn collective_expr(&self, e: &Expr) -> bool {
        any_expr(e, &mut |n| self.collective_node(n))
    }

    fn collective_node(&self, n: Node<'_>) -> bool {
        match n {
            Node::Expr(Expr { kind: ExprKind::Call(f, _), .. }) => match callee(f) {
                Some(name) => self.collective_name(name),
                None => false,
            },
            Node::Stmt(Stmt { kind: StmtKind::Asm(asm), .. }) => {
                ["bar.", "shfl", "fence"].iter().any(|op| asm.text.contains(op))
            }
            Node::Expr(Expr { kind: ExprKind::Assign(_, a, _) | ExprKind::Step(_, _, a), .. }) => self.lockstep(a),
            _ => false,
        }
    }

    /// Whether a store to this place goes through `volatile` to memory that the warp shares: programs that are older than
    /// `__syncwarp` count on all lanes storing together.
    pub fn lockstep(&self, place: &Expr) -> bool {
        self.caps.checked.is_none()
            && !self.p.volatile.is_empty()
            && root(place).is_some_and(|(name, through)| through && self.p.volatile.contains(name))
    }

    /// Whether a function of that name, built-in or in the program, contains such an operation.
    pub fn collective_name(&self, name: &Arc<str>) -> bool {
        if is_collective(name)
            && !self.p.functions.iter().any(|f| f.name == *name && !f.body.is_empty() && f.role == Role::Device)
        {
            return true;
        }
        if let Some(value::Binding::Place(value::Place::Value(value::Tv { t: Type::Callable(f), .. }))) =
            self.lookup(name)
            && f != name
        {
            return !f.is_empty() && self.collective_name(&f.clone());
        }
        if let Some(known) = self.collective_memo.borrow().get(name) {
            return *known;
        }
        self.collective_memo.borrow_mut().insert(name.clone(), false);
        let bodies =
            self.p.functions.iter().filter(|f| f.name == *name).filter_map(|f| f.parsed.get()?.as_ref().ok().cloned());
        let found = bodies.into_iter().any(|b| self.collective(&b.block));
        // Lambdas are called by the names of variables.
        let found = found || self.closures.iter().any(|c| self.named_closure(name, c));
        self.collective_memo.borrow_mut().insert(name.clone(), found);
        found
    }

    fn named_closure(&self, name: &str, closure: &Rc<value::Closure>) -> bool {
        let Some(value::Binding::Place(p)) = self.lookup(name) else { return false };
        matches!(p.ty(), Type::Lambda(i) if self.closures.get(*i as usize).is_some_and(|c| Rc::ptr_eq(c, closure)))
            && self.collective(&closure.lambda.body)
    }
}

/// Whether the statement contains a `return` of its own function.
pub(crate) fn returns(s: &Stmt) -> bool {
    match &s.kind {
        StmtKind::Return(_) => true,
        StmtKind::Block(list) => list.iter().any(returns),
        StmtKind::If(_, _, a, b, _) => returns(a) || b.as_ref().is_some_and(|b| returns(b)),
        StmtKind::For(_, _, _, body, _)
        | StmtKind::Each(_, _, body)
        | StmtKind::While(_, body)
        | StmtKind::Do(body, _) => returns(body),
        StmtKind::Switch(_, cases) => cases.iter().any(|c| c.body.iter().any(returns)),
        _ => false,
    }
}

/// Whether returns cannot be expressed by nesting what follows: one is inside a loop or switch, or in a branch that may also go on.
pub(crate) fn needs_flag(s: &Stmt) -> bool {
    match &s.kind {
        StmtKind::Block(list) => list.iter().any(needs_flag),
        StmtKind::If(_, _, a, b, _) => {
            let here = |s: &Stmt| returns(s) && !always_returns(s);
            needs_flag(a) || b.as_ref().is_some_and(|b| needs_flag(b)) || here(a) || b.as_ref().is_some_and(|b| here(b))
        }
        StmtKind::For(_, _, _, body, _)
        | StmtKind::Each(_, _, body)
        | StmtKind::While(_, body)
        | StmtKind::Do(body, _) => returns(body),
        StmtKind::Switch(_, cases) => cases.iter().any(|c| c.body.iter().any(returns)),
        _ => false,
    }
}

/// Whether every way through the statement returns.
pub(crate) fn always_returns(s: &Stmt) -> bool {
    match &s.kind {
        StmtKind::Return(_) => true,
        StmtKind::Block(list) => list.iter().any(always_returns),
        StmtKind::If(_, _, a, Some(b), _) => always_returns(a) && always_returns(b),
        _ => false,
    }
}

/// A break or continue that leaves the loop around the statement.
pub(crate) fn jumps(s: &Stmt) -> bool {
    fn inner(s: &Stmt, switch: bool) -> bool {
        match &s.kind {
            StmtKind::Break => !switch,
            StmtKind::Continue => true,
            StmtKind::Block(list) => list.iter().any(|s| inner(s, switch)),
            StmtKind::If(_, _, a, b, _) => inner(a, switch) || b.as_ref().is_some_and(|b| inner(b, switch)),
            StmtKind::Switch(_, cases) => cases.iter().any(|c| c.body.iter().any(|s| inner(s, true))),
            _ => false,
        }
    }
    inner(s, false)
}

/// A `continue` of the loop around the statement.
pub(crate) fn continues(s: &Stmt) -> bool {
    match &s.kind {
        StmtKind::Continue => true,
        StmtKind::Block(list) => list.iter().any(continues),
        StmtKind::If(_, _, a, b, _) => continues(a) || b.as_ref().is_some_and(|b| continues(b)),
        StmtKind::Switch(_, cases) => cases.iter().any(|c| c.body.iter().any(continues)),
        _ => false,
    }
}

/// Names that a piece of code may change.
#[derive(Clone, Default)]
pub(crate) struct Changed {
    /// Themselves or what they point to.
    any: BTreeSet<Arc<str>>,
    /// Themselves: not through an index or a pointer.
    itself: BTreeSet<Arc<str>>,
    /// Those that other names may change too: pointers, references, lambdas.
    aliased: BTreeSet<Arc<str>>,
}

impl Changed {
    fn add(&mut self, place: &Expr) {
        if let Some((name, through)) = root(place) {
            self.any.insert(name.clone());
            if !through {
                self.itself.insert(name.clone());
            }
        }
    }

    /// A name that something else may stand for from now on.
    fn alias(&mut self, place: &Expr) {
        if let Some((name, false)) = root(place) {
            self.aliased.insert(name.clone());
        }
    }

    /// Whether other names may change it.
    pub fn aliased(&self, name: &str) -> bool {
        self.aliased.contains(name)
    }

    /// Parameters that are references, and what a caller's names stand for.
    pub fn add_aliases(&mut self, params: &[Param], caller: Option<&Changed>) {
        let references = params.iter().filter(|p| matches!(p.ty, TypeExpr::Reference(..)));
        self.aliased.extend(references.map(|p| p.name.clone()));
        self.aliased.extend(caller.iter().flat_map(|c| c.aliased.iter().cloned()));
    }

    /// Whether a variable of that type may change.
    pub fn contains(&self, name: &str, ty: &Type) -> bool {
        if matches!(ty, Type::Pointer(_)) { self.itself.contains(name) } else { self.any.contains(name) }
    }

    /// Whether it, or what it points to, may change.
    pub fn mentions(&self, name: &str) -> bool {
        self.any.contains(name)
    }
}

/// The variable at the root of a place, if it is named; whether it is reached through an index or pointer.
fn root(e: &Expr) -> Option<(&Arc<str>, bool)> {
    match &e.kind {
        ExprKind::Name(n) if n.parts.len() == 1 => Some((&n.last().id, false)),
        ExprKind::Member(a, _, false) | ExprKind::Cast(_, _, a) | ExprKind::Unary("&", a) => root(a),
        ExprKind::Index(a, _) | ExprKind::Unary("*", a) | ExprKind::Member(a, _, true) => {
            root(a).map(|(n, _)| (n, true))
        }
        _ => None,
    }
}

impl Lowerer<'_> {
    /// Names that may be changed in the code: assigned, stepped, addressed, passed where a reference is taken, or called on.
    pub fn assigned(&self, s: &Stmt, out: &mut Changed) {
        any_stmt(s, &mut |n| {
            match n {
                Node::Expr(e) => self.assigned_here(e, out),
                Node::Stmt(Stmt { kind: StmtKind::Asm(asm), .. }) => {
                    asm.outputs.iter().for_each(|(_, e)| out.add(e));
                }
                Node::Stmt(Stmt { kind: StmtKind::Decl(vars), .. }) => {
                    for v in vars {
                        if let (TypeExpr::Reference(_, constant), Some(Init::Value(e))) = (&v.ty, &v.init) {
                            out.alias(e);
                            out.aliased.insert(v.name.clone());
                            if !constant {
                                out.add(e);
                            }
                        }
                        if let Some(Init::Args(args, _)) = &v.init {
                            self.given(args, "constructor", out);
                        }
                    }
                }
                Node::Stmt(Stmt { kind: StmtKind::Each(v, range, _), .. })
                    if matches!(v.ty, TypeExpr::Reference(..)) =>
                {
                    out.add(range);
                    out.alias(range);
                    out.aliased.insert(v.name.clone());
                }
                _ => {}
            }
            false
        });
    }

    /// Arguments of functions of a name: those that are no temporaries may be changed through a reference.
    fn given(&self, args: &[Expr], function: &str, out: &mut Changed) {
        if !self.takes_references(function) {
            return;
        }
        for a in args {
            if matches!(a.kind, ExprKind::Name(_) | ExprKind::Index(..) | ExprKind::Member(..)) {
                out.add(a);
                out.alias(a);
            }
        }
    }

    /// Whether a function of that name may change its arguments.
    fn takes_references(&self, name: &str) -> bool {
        let changes = |p: &Param| matches!(p.ty, TypeExpr::Reference(_, false));
        let mut known = self.p.functions.iter().filter(|f| &*f.name == name).peekable();
        if known.peek().is_some() || name == "constructor" {
            return known.any(|f| f.params.iter().any(changes));
        }
        // Built-in functions change only what they get the address of; lambdas are variables.
        matches!(name, "load_matrix_sync" | "fill_fragment" | "mma_sync" | "swap") || !super::intrinsic::known(name)
    }

    fn assigned_here(&self, e: &Expr, out: &mut Changed) {
        match &e.kind {
            ExprKind::Assign(_, a, _) | ExprKind::Step(_, _, a) => out.add(a),
            ExprKind::Unary("&", a) => {
                out.add(a);
                out.alias(a);
            }
            ExprKind::Call(f, args) => {
                match callee(f) {
                    Some(name) => self.given(args, name, out),
                    None => self.given(args, "", out),
                }
                if let ExprKind::Member(object, ..) = &f.kind {
                    out.add(object);
                }
            }
            ExprKind::Construct(TypeExpr::Named(_), args, _) => self.given(args, "constructor", out),
            ExprKind::Cast(Cast::Value, TypeExpr::Named(_), a) => {
                self.given(std::slice::from_ref(a), "constructor", out);
            }
            // Operators of the program may change their operands.
            ExprKind::Binary(op, a, b) => {
                let name = format!("operator{op}");
                if self.p.functions.iter().any(|f| *f.name == *name) && self.takes_references(&name) {
                    out.add(a);
                    out.add(b);
                }
            }
            ExprKind::Lambda(l) => {
                let mut inside = Changed::default();
                self.assigned(&l.body, &mut inside);
                out.aliased.extend(inside.any);
                for (name, e, _) in l.made.iter().filter(|m| m.2) {
                    out.add(e);
                    out.alias(e);
                    out.aliased.insert(name.clone());
                }
            }
            _ => {}
        }
    }
}

/// Names an expression reads.
pub(crate) fn mentions(e: &Expr, out: &mut BTreeSet<Arc<str>>) {
    any_expr(e, &mut |n| {
        if let Node::Expr(Expr { kind: ExprKind::Name(n), .. }) = n {
            out.insert(n.parts[0].id.clone());
        }
        false
    });
}

/// Whether a `return` with a value is inside.
pub(crate) fn returns_value(s: &Stmt) -> bool {
    match &s.kind {
        StmtKind::Return(e) => e.is_some(),
        StmtKind::Block(list) => list.iter().any(returns_value),
        StmtKind::If(_, _, a, b, _) => returns_value(a) || b.as_ref().is_some_and(|b| returns_value(b)),
        StmtKind::For(_, _, _, body, _)
        | StmtKind::Each(_, _, body)
        | StmtKind::While(_, body)
        | StmtKind::Do(body, _) => returns_value(body),
        StmtKind::Switch(_, cases) => cases.iter().any(|c| c.body.iter().any(returns_value)),
        _ => false,
    }
}

/// The expression of the first `return` with a value.
pub(crate) fn first_return(list: &[Stmt]) -> Option<&Expr> {
    list.iter().find_map(|s| match &s.kind {
        StmtKind::Return(e) => e.as_ref(),
        StmtKind::Block(list) => first_return(list),
        StmtKind::If(_, _, a, b, _) => first_return(std::slice::from_ref(&**a))
            .or_else(|| b.as_ref().and_then(|b| first_return(std::slice::from_ref(&**b)))),
        StmtKind::For(_, _, _, body, _)
        | StmtKind::Each(_, _, body)
        | StmtKind::While(_, body)
        | StmtKind::Do(body, _) => first_return(std::slice::from_ref(&**body)),
        StmtKind::Switch(_, cases) => cases.iter().find_map(|c| first_return(&c.body)),
        _ => None,
    })
}
