//! Taking the bodies of device functions out of a preprocessed file.
//!
//! clang reads device functions even when it compiles for the host, and would want every builtin that they use declared. On the host
//! only their declarations count. Bodies stay where a declaration cannot do without: functions for both sides, `constexpr`
//! functions, and those whose result type follows from the body.

/// A piece of text that counts.
#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The text with empty bodies in their place, every line where it was.
pub fn device_bodies(text: &str) -> String {
    let tokens = tokens(text);
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut i) = (0, 0);
    while i < tokens.len() {
        // A macro of nvcc, which cannot be one here: libraries use the name inside of attributes.
        if tokens[i].text == "__noinline__" && (i == 0 || tokens[i - 1].text != "(") {
            out.push_str(&text[copied..tokens[i].start]);
            copied = tokens[i].end();
        }
        if let Some((open, close)) = body_after(&tokens, i) {
            out.push_str(&text[copied..tokens[open].end()]);
            out.push_str(" __builtin_trap(); ");
            keep_lines(&text[tokens[open].end()..tokens[close].start], &mut out);
            copied = tokens[close].start;
            i = close;
        }
        i += 1;
    }
    out.push_str(&text[copied..]);
    out
}

/// Line ends, and the preprocessor's notes of files and lines.
fn keep_lines(body: &str, out: &mut String) {
    let mut lines = body.split('\n');
    lines.next();
    for line in lines {
        out.push('\n');
        if note(line) {
            out.push_str(line);
        }
    }
}

/// Whether this says which line of which file follows: `# 7 "x.h" 2`.
fn note(line: &str) -> bool {
    line.strip_prefix("# ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Where the body of the function is whose declaration has a device attribute at token `at`: its braces.
fn body_after(tokens: &[Token<'_>], at: usize) -> Option<(usize, usize)> {
    let kind = attribute(tokens, at)?;
    if kind != "device" && kind != "global" {
        return None;
    }
    let mut keep = false;
    // Back to where the declaration begins.
    let mut back = at;
    while back > 0 {
        back -= 1;
        match tokens[back].text {
            ";" | "{" | "}" => break,
            ":" if back > 0 && matches!(tokens[back - 1].text, "public" | "private" | "protected") => break,
            "]" if back + 1 == at => return None,
            word => keep |= stays(tokens, back, word),
        }
    }
    // And on to its body.
    let (mut i, mut parameters, mut result) = (at, false, false);
    let mut auto = tokens[back..at].iter().any(|t| t.text == "auto");
    while i < tokens.len() {
        match tokens[i].text {
            "__attribute__" => {
                keep |= attribute(tokens, i) == Some("host");
                i = matching(tokens, i + 1)?;
            }
            "operator" => {
                i += 1;
                if tokens.get(i)?.text == "(" {
                    i += 1;
                } else {
                    while tokens.get(i + 1)?.text != "(" {
                        i += 1;
                    }
                }
            }
            "decltype" | "noexcept" | "alignas" | "__declspec" if tokens.get(i + 1)?.text == "(" => {
                i = matching(tokens, i + 1)?;
            }
            "(" => {
                i = matching(tokens, i)?;
                parameters = true;
            }
            "[" => i = matching(tokens, i)?,
            "auto" => auto = true,
            "-" if parameters && tokens.get(i + 1)?.text == ">" => result = true,
            ":" if parameters && tokens.get(i + 1)?.text != ":" && tokens[i - 1].text != ":" => {
                i = initialisers(tokens, i + 1)?;
                continue;
            }
            ";" | "=" | "}" => return None,
            "{" => {
                let function = parameters && (!keep || kind == "global") && (!auto || result);
                return function.then(|| Some((i, matching(tokens, i)?))).flatten();
            }
            word => keep |= stays(tokens, i, word),
        }
        i += 1;
    }
    None
}

/// Whether a word of a declaration says that the body is needed.
fn stays(tokens: &[Token<'_>], at: usize, word: &str) -> bool {
    matches!(word, "constexpr" | "consteval") || attribute(tokens, at) == Some("host")
}

/// The name in `__attribute__((name))` at a token.
fn attribute<'a>(tokens: &[Token<'a>], at: usize) -> Option<&'a str> {
    let window = tokens.get(at..at + 6)?;
    let [head, a, b, name, c, d] = window else { return None };
    let shape = head.text == "__attribute__" && a.text == "(" && b.text == "(" && c.text == ")" && d.text == ")";
    shape.then_some(name.text)
}

/// Past the initialisers of a constructor, to its body.
fn initialisers(tokens: &[Token<'_>], mut i: usize) -> Option<usize> {
    loop {
        while !matches!(tokens.get(i)?.text, "(" | "{") {
            i += 1;
        }
        i = matching(tokens, i)? + 1;
        if tokens.get(i)?.text == "." {
            i += 3;
        }
        match tokens.get(i)?.text {
            "," => i += 1,
            "{" => return Some(i),
            _ => return None,
        }
    }
}

/// The bracket that closes the one at `open`.
fn matching(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (i, t) in tokens.iter().enumerate().skip(open) {
        match t.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

/// Words, and every other character alone; texts, characters and the preprocessor's notes are one token each or none.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let (mut i, mut line_start) = (0, true);
    while i < bytes.len() {
        let start = i;
        match bytes[i] {
            b'\n' => {
                i += 1;
                line_start = true;
                continue;
            }
            b' ' | b'\t' | b'\r' => {
                i += 1;
                continue;
            }
            b'#' if line_start => {
                while i < bytes.len() && bytes[i] != b'\n' {
                    i += 1;
                }
                continue;
            }
            b'"' if raw(&out, start) => i = raw_end(text, i),
            quote @ (b'"' | b'\'') => {
                i += 1;
                while i < bytes.len() && bytes[i] != quote && bytes[i] != b'\n' {
                    i += if bytes[i] == b'\\' { 2 } else { 1 };
                }
                i = (i + 1).min(bytes.len());
            }
            c if c.is_ascii_digit() => {
                // Numbers may hold quotes between their digits.
                while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || matches!(bytes[i], b'.' | b'_' | b'\'')) {
                    i += 1;
                }
            }
            c if c.is_ascii_alphabetic() || c == b'_' || c >= 0x80 => {
                while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_' || bytes[i] >= 0x80) {
                    i += 1;
                }
            }
            _ => i += 1,
        }
        line_start = false;
        let end = (i..=text.len()).find(|e| text.is_char_boundary(*e)).unwrap_or(text.len());
        out.push(Token { text: &text[start..end], start });
        i = end;
    }
    out
}

/// Whether the quote at `at` opens a raw text: `R"(...)"`.
fn raw(out: &[Token<'_>], at: usize) -> bool {
    out.last().is_some_and(|t| t.end() == at && matches!(t.text, "R" | "u8R" | "uR" | "UR" | "LR"))
}

fn raw_end(text: &str, quote: usize) -> usize {
    let rest = &text[quote + 1..];
    let Some(open) = rest.find('(') else { return text.len() };
    let close = format!("){}\"", &rest[..open]);
    rest.find(&close).map_or(text.len(), |n| quote + 1 + n + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "__attribute__((device))";
    const GLOBAL: &str = "__attribute__((global))";
    const HOST: &str = "__attribute__((host))";

    fn check(before: &str, after: &str) {
        let expand = |s: &str| s.replace("DEV", DEVICE).replace("GLO", GLOBAL).replace("HOST", HOST);
        assert_eq!(device_bodies(&expand(before)), expand(after));
    }

    #[test]
    fn bodies_of_device_functions_go() {
        check(
            "GLO void k(int* x) { x[0] = f(\"}\"); } int main() { g(); }",
            "GLO void k(int* x) { __builtin_trap(); } int main() { g(); }",
        );
        check(
            "struct S { inline DEV operator T*() { return p; } int n; };",
            "struct S { inline DEV operator T*() { __builtin_trap(); } int n; };",
        );
        check("DEV int operator()(int a) const { return a; }", "DEV int operator()(int a) const { __builtin_trap(); }");
        check("DEV S(int a) : x(a), y{1} { go(); }", "DEV S(int a) : x(a), y{1} { __builtin_trap(); }");
        check("DEV auto f(int a) -> int { return a; }", "DEV auto f(int a) -> int { __builtin_trap(); }");
        check("__noinline__ DEV void f() {}", " DEV void f() { __builtin_trap(); }");
        check("DEV S& operator=(const S& o) { return *this; }", "DEV S& operator=(const S& o) { __builtin_trap(); }");
    }

    #[test]
    fn what_the_host_needs_stays() {
        for text in [
            "HOST DEV int f(int a) { return a; }",
            "DEV HOST int f(int a) { return a; }",
            "DEV constexpr int f() { return 1; }",
            "constexpr DEV int f() { return 1; }",
            "DEV auto f() { return 1; }",
            "DEV int table[2] = {1, 2};",
            "DEV int x{3};",
            "DEV int f(int); int g() { return 1; }",
            "struct S { DEV S() = default; int f() { return 1; } };",
            "void h() { auto f = [=] DEV (int i) { return i; }; }",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn lines_stay_where_they_were() {
        check(
            "DEV void f() {\n a;\n# 7 \"x.h\" 2\n b;\n}\nint y;",
            "DEV void f() { __builtin_trap(); \n\n# 7 \"x.h\" 2\n\n}\nint y;",
        );
        check("DEV void f() {\n#pragma unroll\n}", "DEV void f() { __builtin_trap(); \n\n}");
        let text = "DEV void f() { \u{e9} 'x' R\"(})\" 1'000 }";
        check(text, "DEV void f() { __builtin_trap(); }");
    }

    #[test]
    fn broken_text_is_left_alone() {
        for text in ["DEV void f() {", "DEV void f(", "DEV", "GLO void f() { (", "\"", "R\"(", "DEV operator"] {
            check(text, text);
        }
    }
}
