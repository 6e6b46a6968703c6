//! Classes of CUDA and of the standard library: fragments, groups, numbers as types.

use super::*;

impl Lowerer<'_> {
    pub(super) fn built_in_class(&mut self, name: &Name, part: &Part) -> R<Type> {
        let at = name.at;
        let args = part.args.clone().unwrap_or_default();
        Ok(match &*part.id {
            "thread_block" => Type::Group(Group::Block),
            "grid_group" => Type::Group(Group::Grid),
            "coalesced_group" => Type::Group(Group::Coalesced),
            "thread_group" => Type::Group(Group::Block),
            "thread_block_tile" => {
                let n = match args.first() {
                    Some(a) => self.template_int(a, at)?,
                    None => 32,
                };
                Type::Group(Group::Tile(u32::try_from(n).unwrap_or(32)))
            }
            "cudaTextureObject_t" | "cudaSurfaceObject_t" => Type::Texture,
            "plus" => Type::Functor("plus"),
            "less" => Type::Functor("less"),
            "greater" => Type::Functor("greater"),
            "bit_and" => Type::Functor("bit_and"),
            "bit_or" => Type::Functor("bit_or"),
            "bit_xor" => Type::Functor("bit_xor"),
            "multiplies" => Type::Functor("multiplies"),
            "conditional_t" | "conditional" if args.len() == 3 => {
                let yes = self.template_int(&args[0], at)? != 0;
                return self.template_type(if yes { &args[1] } else { &args[2] }, at);
            }
            "enable_if_t" | "enable_if" if !args.is_empty() => {
                if self.template_int(&args[0], at)? == 0 {
                    return Err(self.err("U004", at, "no `enable_if` type: its condition is false"));
                }
                match args.get(1) {
                    Some(a) => return self.template_type(a, at),
                    None => Type::Void,
                }
            }
            // Constness and references are not kept.
            "remove_reference_t" | "remove_cv_t" | "decay_t" | "remove_reference" | "remove_cv" | "remove_const"
            | "remove_const_t" | "decay"
                if args.len() == 1 =>
            {
                return self.template_type(&args[0], at);
            }
            "true_type" => TRUE,
            "false_type" => FALSE,
            "bool_constant" if args.len() == 1 => truth_type(self.template_int(&args[0], at)? != 0),
            "integral_constant" if matches!(args[..], [TemplateArg::Type(TypeExpr::Scalar(Scalar::Bool)), _]) => {
                truth_type(self.template_int(&args[1], at)? != 0)
            }
            id if super::traits::known(id) => truth_type(self.type_trait(id, &args, at)?),
            "fragment" if args.len() >= 5 => {
                let word = |a: &TemplateArg| match a {
                    TemplateArg::Type(TypeExpr::Named(n)) => n.last().id.to_string(),
                    TemplateArg::Value(Expr { kind: ExprKind::Name(n), .. }) => n.last().id.to_string(),
                    _ => String::new(),
                };
                let part = match &*word(&args[0]) {
                    "matrix_a" => Use::A,
                    "matrix_b" => Use::B,
                    _ => Use::Accumulator,
                };
                let mut shape = [0u32; 3];
                for (n, a) in shape.iter_mut().zip(&args[1..4]) {
                    *n = u32::try_from(self.template_int(a, at)?).ok().filter(|n| (1..=64).contains(n)).unwrap_or(16);
                }
                let elem = self.template_type(&args[4], at)?;
                let Some(s) = elem.scalar() else { return Err(self.err("U004", at, "a fragment holds numbers")) };
                let rows = args.get(5).is_none_or(|a| word(a) == "row_major");
                Type::Fragment(part, s, shape, rows)
            }
            "nullptr_t" => Type::Null,
            "layout_t" => Type::Void,
            "integral_constant" => {
                return Err(self.refuse(
                    at,
                    "std::integral_constant of a number",
                    "pass the number as a template argument",
                ));
            }
            id => {
                let what = format!("`{id}`");
                return Err(match id {
                    "clock_t" => {
                        self.refuse(at, "the device clock", "WGSL has no clock: time whole kernels from the host")
                    }
                    "texture" | "surface" => self.refuse(
                        at,
                        "a texture or surface reference",
                        "CUDA 12 has none either: pass a cudaTextureObject_t to the kernel",
                    ),
                    _ if id.starts_with("curand") => self.refuse(
                        at,
                        format!("the random generator {what}"),
                        "write the generator into the kernel, for example Philox or xorshift",
                    ),
                    "grid_group" | "multi_grid_group" | "cluster_group" => self.refuse(
                        at,
                        what,
                        "workgroups of WebGPU do not run together: split the kernel where it waits",
                    ),
                    "barrier" | "pipeline" => {
                        self.refuse(at, format!("asynchronous {what}"), "use __syncthreads and plain copies")
                    }
                    _ => self.err("U003", at, format!("{what} is not a known type")),
                });
            }
        })
    }
}
