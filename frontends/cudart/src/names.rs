//! From the mangled names that clang registers to the names of girih's translator: `_Z1kIfLi4EEvPT_` is `k<float, 4>`.

use cpp_demangle::{DemangleOptions, Symbol};

/// The kernel or variable of a mangled name, with its template arguments and without namespaces and parameters; a name that is
/// not mangled as it is.
pub fn plain(mangled: &str) -> String {
    let options = DemangleOptions::new();
    let demangled = Symbol::new(mangled).ok().and_then(|s| s.demangle_with_options(&options).ok());
    let Some(text) = demangled else { return mangled.to_string() };
    functions(last(&text))
}

/// The types of a kernel's parameters, `(float*, int)`; nothing for a name that is not mangled.
pub fn parameters(mangled: &str) -> String {
    let text = Symbol::new(mangled).ok().and_then(|s| s.demangle_with_options(&DemangleOptions::new()).ok());
    let Some(text) = text else { return String::new() };
    let name = last(&text);
    let end = name.as_ptr() as usize - text.as_ptr() as usize + name.len();
    text[end..].to_string()
}

/// Functions among the template arguments by their names: `k<&f(float*, int)>` is `k<f>`.
fn functions(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let Some(open) = after.find('(').filter(|_| before.ends_with(['<', ' ', '('])) else {
            out.push('&');
            rest = &after[1..];
            continue;
        };
        out.push_str(last(&after[1..open]));
        let mut depth = 0;
        let end = after.char_indices().skip_while(|(i, _)| *i < open).find(|(_, c)| {
            depth += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        });
        rest = end.map_or("", |(i, _)| &after[i + 1..]);
    }
    out + rest
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
    fn parameters_are_those_of_the_source() {
        let rows =
            [("_Z1kIfEvPT_j", "(float*, unsigned int)"), ("_Z3addPKfS0_", "(float const*, float const*)"), ("c", "")];
        for (mangled, list) in rows {
            assert_eq!(parameters(mangled), list, "{mangled}");
        }
    }

    #[test]
    fn names_are_those_of_the_source() {
        let rows = [
            ("_Z1kIfLi4ELb1EEvPT_j", "k<float, 4, true>"),
            ("_Z3addPKfS0_Pfi", "add"),
            ("_ZL1sPf", "s"),
            ("_ZN2ns5inner5scaleIhEEvPT_", "scale<unsigned char>"),
            ("_ZN12_GLOBAL__N_11kEv", "k"),
            ("plain_c", "plain_c"),
            ("_Z1kIXadL_Z1fPfiEEEvS0_", "k<f>"),
            ("_Z7reduce6IiLj512ELb0EEvPT_S1_j", "reduce6<int, (unsigned int)512, false>"),
        ];
        for (mangled, name) in rows {
            assert_eq!(plain(mangled), name, "{mangled}");
        }
    }
}
