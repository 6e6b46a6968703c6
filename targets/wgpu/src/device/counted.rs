//! Whether every loop of a shader counts up: the form in which the printer writes counted loops, and nothing else.

/// Words, numbers and single signs; comments are left out.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |n| n + 2)
        } else if c.is_whitespace() {
            c.len_utf8()
        } else {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let n = if word(c) { rest.find(|c| !word(c)).unwrap_or(rest.len()) } else { c.len_utf8() };
            out.push(&rest[..n]);
            n
        };
        rest = &rest[skip..];
    }
    out
}

/// Whether all loops are `for (var i = a; i < b; i += 4u)` with a constant step, whose body leaves `i` alone.
pub fn counted(text: &str) -> bool {
    let tokens = tokens(text);
    if tokens.iter().any(|t| matches!(*t, "loop" | "while")) {
        return false;
    }
    (0..tokens.len()).filter(|i| tokens[*i] == "for").all(|i| counts(&tokens[i..]).unwrap_or(false))
}

/// Whether a loop that starts here counts; `None` where its text ends early.
fn counts(t: &[&str]) -> Option<bool> {
    let name = *t.get(3)?;
    let first = 4 + t[4..].iter().position(|t| *t == ";")?;
    let second = first + 1 + t[first + 1..].iter().position(|t| *t == ";")?;
    let step = *t.get(second + 4)?;
    let number = step.strip_suffix('u').and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n > 0);
    let head = t[1..3] == ["(", "var"]
        && t[4] == "="
        && t[first + 1..].starts_with(&[name, "<"])
        && t[second + 1..].starts_with(&[name, "+", "=", step, ")", "{"])
        && number;
    if !head {
        return Some(false);
    }
    let body = second + 6;
    let mut depth = 0usize;
    for (i, token) in t.iter().enumerate().skip(body) {
        match *token {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return Some(true);
                }
            }
            token if token == name => {
                let (after, next) = (t.get(i + 1)?, t.get(i + 2)?);
                let assigned = *after == "=" && *next != "=";
                let stepped = "+-*/%&|^".contains(*after) && (*next == "=" || (next == after && "+-".contains(*after)));
                let declared = matches!(t[i - 1], "let" | "var");
                let pointed = t[i - 1] == "&" && matches!(t[i - 2], "(" | "," | "=");
                if assigned || stepped || declared || pointed {
                    return Some(false);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn only_loops_that_count_are_let_through() {
        let body = |head: &str, inside: &str| counted(&format!("fn main() {{ {head} {{ {inside} }} }}"));
        let head = "for (var i = 0u; i < min(n, 4u); i += 16u)";
        assert!(counted("fn main() { x = 1u; } // a loop { while (it is a remark)"));
        assert!(body(head, "x += i; if (i == 2u) { break; } y = x & i; y = select(a, i, i <= k);"));
        assert!(body(head, "for (var j = i; j < n; j += 1u) { s = s + j; }"));
        for inside in
            ["i = 0u;", "i -= 1u;", "i--;", "f(&i);", "let p = &i;", "var i = 0u; ", "for (;;) { }", "loop{ }"]
        {
            assert!(!body(head, inside), "{inside}");
        }
        for head in [
            "for (;;)",
            "for(var i = 0u; i < n; )",
            "for (var i = 0u; i < n; i += 0u)",
            "for (var i = 0u; i < n; i += s)",
            "for (var i = 0u; j < n; i += 1u)",
            "while\n(true)",
            "loop\t",
        ] {
            assert!(!body(head, "x = 1u;"), "{head}");
        }
    }
}
