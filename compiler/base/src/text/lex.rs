//! Tokens of the text forms.

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// Identifier or keyword.
    Word(String),
    /// Quoted text, unescaped.
    Text(String),
    /// `%12`.
    Value(u32),
    /// Digits; no sign.
    Int(u64),
    /// A number with a point or exponent; no sign.
    Float(f64),
    /// `0x` and 16 hex digits: the bits of an f64.
    Bits(u64),
    /// `..`
    Range,
    /// `// text`: a remark that belongs to the program, to the end of the line; unescaped.
    Remark(String),
    /// Any other character.
    Mark(char),
}

/// A token and the line and column it starts at, both from 1.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub token: Token,
    pub line: u32,
    pub column: u32,
}

/// Splits the text; `#` starts a comment that ends with the line. The error is a line, a column and a complaint.
pub(super) fn lex(text: &str) -> Result<Vec<Spanned>, (u32, u32, String)> {
    let mut out = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest = line;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with('#') {
                break;
            }
            let (row, column) = (number as u32 + 1, (line.len() - rest.len()) as u32 + 1);
            let (token, used) = token(rest).map_err(|m| (row, column, m))?;
            out.push(Spanned { token, line: row, column });
            rest = &rest[used..];
        }
    }
    Ok(out)
}

fn token(rest: &str) -> Result<(Token, usize), String> {
    let Some(first) = rest.chars().next() else { return Err("empty".into()) };
    let span = |ok: fn(char) -> bool, from: usize| rest[from..].find(|c| !ok(c)).map_or(rest.len(), |n| n + from);
    if first.is_ascii_alphabetic() || first == '_' {
        let n = span(|c| c.is_ascii_alphanumeric() || c == '_', 0);
        return Ok((Token::Word(rest[..n].into()), n));
    }
    if let Some(hex) = rest.strip_prefix("0x") {
        let n = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        return match u64::from_str_radix(&hex[..n], 16) {
            Ok(bits) if n == 16 => Ok((Token::Bits(bits), n + 2)),
            _ => Err("a float given by its bits has 16 hex digits".into()),
        };
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    match first {
        '"' => quoted(rest),
        '%' => {
            let n = span(|c| c.is_ascii_digit(), 1);
            let id = rest[1..n].parse().map_err(|_| "a value is `%` and a number".to_string())?;
            Ok((Token::Value(id), n))
        }
        '.' if rest.starts_with("..") => Ok((Token::Range, 2)),
        '/' if rest.starts_with("//") => {
            let text = &rest[2..];
            Ok((Token::Remark(unescape(text.strip_prefix(' ').unwrap_or(text))?), rest.len()))
        }
        c => Ok((Token::Mark(c), c.len_utf8())),
    }
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let digits = |from: usize| rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| n + from);
    let whole = digits(0);
    let mut end = whole;
    if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        end = digits(end + 1);
    }
    if let Some(exponent) = rest[end..].strip_prefix('e') {
        let sign = exponent.starts_with('-') as usize;
        let stop = digits(end + 1 + sign);
        if stop > end + 1 + sign {
            end = stop;
        }
    }
    if end == whole {
        let value = rest[..end].parse().map_err(|_| "this integer is too large".to_string())?;
        return Ok((Token::Int(value), end));
    }
    let value = rest[..end].parse().map_err(|_| "not a number".to_string())?;
    Ok((Token::Float(value), end))
}

fn quoted(rest: &str) -> Result<(Token, usize), String> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok((Token::Text(unescape(&rest[1..at])?), at + 1)),
            _ => {}
        }
    }
    Err("the quoted text does not end on its line".into())
}

/// Undoes [`super::quoted`] between the quotes.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        rest = match after.chars().next() {
            Some('n') => {
                out.push('\n');
                &after[1..]
            }
            Some('u') => {
                let code = after[1..].strip_prefix('{').and_then(|hex| hex.split_once('}'));
                let (code, rest) = code.ok_or("`\\u` needs the code of a character in braces")?;
                let code = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
                out.push(code.ok_or("not a character code")?);
                rest
            }
            Some(c) => {
                out.push(c);
                &after[c.len_utf8()..]
            }
            None => return Err("a backslash ends the text".into()),
        };
    }
    out.push_str(rest);
    Ok(out)
}
