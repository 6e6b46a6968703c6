//! The syntax tree of device code. Types are as written; names are resolved while lowering, when template arguments are known.

use crate::source::At;
use crate::types::Scalar;
use std::ops::Range;
use std::sync::Arc;

/// A name, perhaps qualified, each part perhaps with template arguments.
#[derive(Clone, Debug)]
pub struct Name {
    /// Parts between `::`.
    pub parts: Vec<Part>,
    /// Where.
    pub at: At,
}

/// One part of a qualified name.
#[derive(Clone, Debug)]
pub struct Part {
    /// The identifier.
    pub id: Arc<str>,
    /// Template arguments.
    pub args: Option<Vec<TemplateArg>>,
}

impl Name {
    /// The last part.
    pub fn last(&self) -> &Part {
        &self.parts[self.parts.len() - 1]
    }
}

/// A template argument; a lone name may turn out to be either.
#[derive(Clone, Debug)]
pub enum TemplateArg {
    /// A type.
    Type(TypeExpr),
    /// A value.
    Value(Expr),
}

/// A type as written.
#[derive(Clone, Debug)]
pub enum TypeExpr {
    /// `void`.
    Void,
    /// `auto`.
    Auto,
    /// A fundamental type.
    Scalar(Scalar),
    /// A struct, alias, template parameter or built-in class.
    Named(Name),
    /// A pointer; whether what it points to is const, whether it is `__restrict__`.
    Pointer(Box<TypeExpr>, bool, bool),
    /// A reference; whether to const.
    Reference(Box<TypeExpr>, bool),
    /// An array; `[]` has no length.
    Array(Box<TypeExpr>, Option<Box<Expr>>),
    /// `decltype(e)`.
    Decltype(Box<Expr>),
    /// A function or pointer to one.
    Function,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where its operator or first token is.
    pub at: At,
}

/// Casts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// `(T)e`, `static_cast`, `T(e)`.
    Value,
    /// `reinterpret_cast`.
    Bits,
}

/// Kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// An integer with its type.
    Int(u64, Scalar),
    /// A floating-point number with its type.
    Float(f64, Scalar),
    /// `true`, `false`.
    Bool(bool),
    /// A string.
    Text(Arc<str>),
    /// `nullptr`.
    Null,
    /// `this`.
    This,
    /// A name.
    Name(Name),
    /// A prefix operator: `- + ! ~ * &`.
    Unary(&'static str, Box<Expr>),
    /// `++x`, `--x` (`true`: before).
    Step(i8, bool, Box<Expr>),
    /// An infix operator.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `a = b`, or `a op= b`.
    Assign(Option<&'static str>, Box<Expr>, Box<Expr>),
    /// `c ? a : b`.
    Choose(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `a, b`.
    Comma(Box<Expr>, Box<Expr>),
    /// `f(args)`.
    Call(Box<Expr>, Vec<Expr>),
    /// `a[i]`.
    Index(Box<Expr>, Box<Expr>),
    /// `a.b` and `a->b` (`true`).
    Member(Box<Expr>, Part, bool),
    /// A cast.
    Cast(Cast, TypeExpr, Box<Expr>),
    /// `T(a, b)` and `T{a, b}` (`true`).
    Construct(TypeExpr, Vec<Expr>, bool),
    /// `{a, b}`.
    List(Vec<Expr>),
    /// `sizeof(T)`.
    SizeofType(TypeExpr),
    /// `sizeof e`.
    Sizeof(Box<Expr>),
    /// `alignof(T)`.
    Alignof(TypeExpr),
    /// `.name = e` in a list.
    Designated(Arc<str>, Box<Expr>),
    /// A lambda.
    Lambda(Arc<Lambda>),
    /// `f<<<...>>>(...)`.
    Launch,
}

/// A lambda expression.
#[derive(Debug)]
pub struct Lambda {
    /// What is not named is captured by value (`=`).
    pub copies: bool,
    /// Names captured by value, or by reference (`true`).
    pub captures: Vec<(Arc<str>, bool)>,
    /// Captures with a value of their own, `[n = a + 1]`; whether by reference.
    pub made: Vec<(Arc<str>, Expr, bool)>,
    /// Parameters.
    pub params: Vec<Param>,
    /// The type after `->`.
    pub ret: Option<TypeExpr>,
    /// The body.
    pub body: Stmt,
}

/// A variable, or part of a declaration statement.
#[derive(Clone, Debug)]
pub struct Var {
    /// Name.
    pub name: Arc<str>,
    /// Type.
    pub ty: TypeExpr,
    /// Initial value.
    pub init: Option<Init>,
    /// Where the name is.
    pub at: At,
    /// How it is stored.
    pub place: Storage,
    /// Declared const or constexpr.
    pub constant: bool,
    /// An element of `alignas` or `__align__`.
    pub align: Option<Box<Expr>>,
}

/// An initialiser.
#[derive(Clone, Debug)]
pub enum Init {
    /// `= e`, with `e` perhaps a list.
    Value(Expr),
    /// `(a, b)` or `{a, b}` (`true`).
    Args(Vec<Expr>, bool),
}

/// Where a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In the thread.
    Auto,
    /// `__shared__`.
    Shared,
    /// `extern __shared__`.
    Dynamic,
    /// `__constant__`.
    Constant,
    /// `__device__` at file scope, or `__managed__`.
    Device,
    /// `static` in a function, or const at file scope.
    Static,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Where it starts.
    pub at: At,
}

/// Kinds of statements.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// Declared variables.
    Decl(Vec<Var>),
    /// An expression.
    Expr(Expr),
    /// A block.
    Block(Vec<Stmt>),
    /// `if`, with its condition perhaps a declaration; whether it is `if constexpr`.
    If(Box<Stmt>, Expr, Box<Stmt>, Option<Box<Stmt>>, bool),
    /// `for (init; cond; step) body`, with the unroll request if any.
    For(Box<Stmt>, Option<Expr>, Option<Expr>, Box<Stmt>, Option<Unroll>),
    /// `for (var : range) body`.
    Each(Box<Var>, Expr, Box<Stmt>),
    /// `while`.
    While(Expr, Box<Stmt>),
    /// `do body while (cond)`.
    Do(Box<Stmt>, Expr),
    /// `switch`.
    Switch(Expr, Vec<Case>),
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `return`.
    Return(Option<Expr>),
    /// A local type.
    Type(LocalType),
    /// `static_assert`.
    Assert(Expr, Arc<str>),
    /// `asm`.
    Asm(Arc<Asm>),
    /// Nothing.
    Empty,
    /// A statement that device code cannot have, with the reason.
    Refused(&'static str),
}

/// A request to unroll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unroll {
    /// `#pragma unroll`.
    Full,
    /// `#pragma unroll 1`.
    No,
}

/// A part of a switch: labels (`None`: default) and statements up to the next label.
#[derive(Clone, Debug)]
pub struct Case {
    /// The labels.
    pub labels: Vec<Option<Expr>>,
    /// The statements.
    pub body: Vec<Stmt>,
}

/// Inline PTX.
#[derive(Debug)]
pub struct Asm {
    /// The template.
    pub text: Arc<str>,
    /// Outputs: constraint and place.
    pub outputs: Vec<(Arc<str>, Expr)>,
    /// Inputs.
    pub inputs: Vec<(Arc<str>, Expr)>,
}

/// An enum.
#[derive(Clone, Debug)]
pub struct Enumeration {
    /// Name, perhaps empty.
    pub name: Arc<str>,
    /// `enum class`: its constants are known by its name only.
    pub scoped: bool,
    /// The struct it is a member of.
    pub member_of: Option<usize>,
    /// Declared inside of a function.
    pub local: bool,
    /// The type written after `:`.
    pub ty: Option<TypeExpr>,
    /// Constants with their values, where given.
    pub items: Vec<(Arc<str>, Option<Expr>)>,
}

/// A type declared inside a function.
#[derive(Clone, Debug)]
pub enum LocalType {
    /// `using T = ...`, `typedef`.
    Alias(Arc<str>, TypeExpr),
    /// A struct, entered into the module's.
    Declared,
    /// An enum, by its number among the module's.
    Enum(usize),
}

/// A function's parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// Name, perhaps empty.
    pub name: Arc<str>,
    /// Type.
    pub ty: TypeExpr,
    /// Default value.
    pub default: Option<Expr>,
    /// Where.
    pub at: At,
    /// `T... xs`.
    pub pack: bool,
}

/// A template's parameter.
#[derive(Clone, Debug)]
pub struct TemplateParam {
    /// Name, perhaps empty.
    pub name: Arc<str>,
    /// The type of a value parameter; `None` for a type parameter.
    pub value: Option<TypeExpr>,
    /// Default.
    pub default: Option<TemplateArg>,
    /// `typename... Ts`.
    pub pack: bool,
}

/// What a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `__global__`.
    Kernel,
    /// `__device__`, or unmarked but constexpr.
    Device,
    /// Only for the host.
    Host,
}

/// A function.
pub struct Function {
    /// Name; operators are `operator+`.
    pub name: Arc<str>,
    /// Template parameters.
    pub template: Vec<TemplateParam>,
    /// How many of them, from the first, are the struct's: members defined outside of it repeat them.
    pub outer: usize,
    /// Explicit specialisation arguments.
    pub special: Option<Vec<TemplateArg>>,
    /// Parameters.
    pub params: Vec<Param>,
    /// Result.
    pub ret: TypeExpr,
    /// Its role.
    pub role: Role,
    /// Where its name is.
    pub at: At,
    /// Tokens of the body, braces included; empty for declarations.
    pub body: Range<usize>,
    /// Constructors: tokens of the member initialisers.
    pub inits: Range<usize>,
    /// The struct it is a member of.
    pub member_of: Option<usize>,
    /// `__launch_bounds__(n)`.
    pub bounds: Option<Expr>,
    /// The body once parsed.
    pub parsed: std::sync::OnceLock<Result<Arc<Body>, Box<girih_base::Diag>>>,
}

/// A parsed body.
pub struct Body {
    /// Member initialisers of a constructor.
    pub inits: Vec<(Arc<str>, Vec<Expr>)>,
    /// The statements.
    pub block: Stmt,
}

/// A struct, class or union.
#[derive(Clone)]
pub struct Struct {
    /// Name.
    pub name: Arc<str>,
    /// Template parameters.
    pub template: Vec<TemplateParam>,
    /// Explicit specialisation arguments.
    pub special: Option<Vec<TemplateArg>>,
    /// Fields in order.
    pub fields: Vec<Var>,
    /// Bases.
    pub bases: Vec<TypeExpr>,
    /// Static constants.
    pub statics: Vec<Var>,
    /// Member types.
    pub aliases: Vec<(Arc<str>, TypeExpr)>,
    /// Member functions, as indices of functions.
    pub methods: Vec<usize>,
    /// A union.
    pub union: bool,
    /// `__align__(n)`.
    pub align: Option<Expr>,
    /// Where.
    pub at: At,
}
