//! From the mangled names that clang registers to the names of girih's translator: `_Z1kIfLi4EEvPT_` is `k<float, 4>`.

use cpp_demangle::{DemangleOptions, Symbol};

/// The kernel or variable of a mangled name, with its template arguments and without namespaces and parameters; a name that is
/// not mangled as it is.
pub fn plain(mangled: &str) -> String {
    let options = DemangleOptions::new();
    let demangled = Symbol::new(mangled).ok().and_then(|s| s.demangle_with_options(&options).ok());
    let Some(text) = demangled else { return mangled.to_string() };
    last(&text).to_string()
}

/// `void a::k<float, 4>(float*)` is `k<float, 4>`: between the last space or `::` before the name and its parameters, with nothing
/// in brackets of either kind counted.
fn last(text: &str) -> &str {
    let (mut depth, mut start) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            // A namespace without a name is written in parentheses; parameters come after the name.
            '(' if depth == 0 && at > start => return &text[start..at],
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' | ':' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        let rows = [
            ("_Z1kIfLi4ELb1EEvPT_j", "k<float, 4, true>"),
            ("_Z3addPKfS0_Pfi", "add"),
            ("_ZL1sPf", "s"),
            ("_ZN2ns5inner5scaleIhEEvPT_", "scale<unsigned char>"),
            ("_ZN12_GLOBAL__N_11kEv", "k"),
            ("plain_c", "plain_c"),
            ("_Z7reduce6IiLj512ELb0EEvPT_S1_j", "reduce6<int, 512u, false>"),
        ];
        for (mangled, name) in rows {
            assert_eq!(plain(mangled), name, "{mangled}");
        }
    }
}
