//! Identifiers: the user's names made valid and unique, with block scopes.

use std::collections::BTreeSet;

/// Keywords, reserved words, predeclared types and functions of WGSL, and names the printer uses itself.
const TAKEN: &str = "alias break case const const_assert continue continuing default diagnostic discard else enable false fn for \
if let loop override requires return struct switch true var while NULL Self abstract active alignas alignof as asm \
asm_fragment async attribute auto await become cast catch class co_await co_return co_yield coherent column_major common \
compile compile_fragment concept const_cast consteval constexpr constinit crate debugger decltype delete demote \
demote_to_helper do dynamic_cast enum explicit export extends extern external fallthrough filter final finally friend from \
fxgroup get goto groupshared highp impl implements import inline instanceof interface layout lowp macro macro_rules match \
mediump meta mod module move mut mutable namespace new nil noexcept noinline nointerpolation non_coherent noncoherent \
noperspective null nullptr of operator package packoffset partition pass patch pixelfragment precise precision premerge priv \
protected pub public readonly ref regardless register reinterpret_cast require resource restrict self set shared sizeof \
smooth snorm static static_assert static_cast std subroutine super target template this thread_local throw trait try type \
typedef typeid typename typeof union unless unorm unsafe unsized use using varying virtual volatile wgsl where with \
writeonly yield array atomic bool f16 f32 f64 i16 i32 i64 u16 u32 u64 vec2 vec3 vec4 mat2x2 mat2x3 mat2x4 mat3x2 mat3x3 \
mat3x4 mat4x2 mat4x3 mat4x4 ptr sampler storage uniform workgroup function private read write read_write abs acos acosh all \
any arrayLength asin asinh atan atan2 atanh bitcast ceil clamp cos cosh countLeadingZeros countOneBits countTrailingZeros \
cross degrees determinant distance dot dot4I8Packed dot4U8Packed exp exp2 extractBits faceForward firstLeadingBit \
firstTrailingBit floor fma fract frexp insertBits inverseSqrt ldexp length log log2 max min mix modf normalize \
pack2x16float pack2x16snorm pack2x16unorm pow quantizeToF16 radians reflect refract reverseBits round saturate select sign \
sin sinh smoothstep sqrt step storageBarrier subgroupAdd subgroupMin subgroupMax subgroupShuffleXor subgroupBroadcastFirst subgroupAnd subgroupOr subgroupXor \
subgroupInclusiveAdd subgroupExclusiveAdd subgroupShuffle subgroupBroadcast subgroupAny subgroupAll subgroupBallot \
tan tanh transpose trunc unpack2x16float workgroupBarrier workgroupUniformLoad main sizes Sizes workgroup_id lane group \
subgroup_size subgroup_lane attempt";

/// The names in use, innermost scope last.
#[derive(Debug)]
pub struct Names {
    taken: BTreeSet<&'static str>,
    used: BTreeSet<String>,
    scopes: Vec<Vec<String>>,
}

impl Names {
    /// No names but those of the language.
    pub fn new() -> Names {
        Names { taken: TAKEN.split_whitespace().collect(), used: BTreeSet::new(), scopes: vec![Vec::new()] }
    }

    /// A valid identifier close to `wish` that nothing visible has.
    pub fn claim(&mut self, wish: &str) -> String {
        let base = sanitize(wish);
        let free = |n: &str| !self.taken.contains(n) && !self.used.contains(n);
        let name = if free(&base) {
            base
        } else {
            let stem = if base.ends_with(|c: char| c.is_ascii_digit()) { format!("{base}_") } else { base };
            (1u64..).map(|i| format!("{stem}{i}")).find(|n| free(n)).unwrap_or(stem)
        };
        self.used.insert(name.clone());
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(name.clone());
        }
        name
    }

    /// Opens a block.
    pub fn enter(&mut self) {
        self.scopes.push(Vec::new());
    }

    /// Closes a block; its names may be used again.
    pub fn leave(&mut self) {
        for name in self.scopes.pop().unwrap_or_default() {
            self.used.remove(&name);
        }
    }
}

/// ASCII letters, digits and single underscores, a letter first; prefix `girih_` is kept for helper functions.
fn sanitize(wish: &str) -> String {
    let mut name = String::new();
    for c in wish.chars().take(48) {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || !(name.is_empty() || name.ends_with('_')) {
            name.push(c);
        }
    }
    let name = name.trim_end_matches('_');
    match name.chars().next() {
        None => "v".into(),
        Some(c) if c.is_ascii_digit() => format!("v{name}"),
        _ if name.starts_with("girih_") => format!("v_{name}"),
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_and_unique() {
        let mut n = Names::new();
        assert_eq!(n.claim("x"), "x");
        assert_eq!(n.claim("x"), "x1");
        assert_eq!(n.claim("loop"), "loop1");
        assert_eq!(n.claim("__a b__"), "a_b");
        assert_eq!(n.claim("3d"), "v3d");
        assert_eq!(n.claim(""), "v");
        assert_eq!(n.claim("äé"), "v1");
        assert_eq!(n.claim("h0"), "h0");
        assert_eq!(n.claim("h0"), "h0_1");
        n.enter();
        assert_eq!(n.claim("i"), "i");
        n.leave();
        assert_eq!(n.claim("i"), "i");
    }
}
