//! `else` and `else if`.

use super::Body;
use girih_base::Result;
use girih_simt::Stmt;

/// Whether the lines are one `if` with its branches, and nothing beside it at their level.
fn is_one_if(text: &str) -> bool {
    let head = text.len() - text.trim_start().len();
    let level = |line: &&str| line.len() - line.trim_start().len() == head;
    let mut own = text.lines().filter(level).map(str::trim_start);
    own.next().is_some_and(|first| first.starts_with("if ("))
        && own.next_back() == Some("}")
        && text.lines().last().is_some_and(|l| level(&l))
        && own.all(|line| line.starts_with("} else"))
}

impl Body<'_> {
    /// The other branch of an `if` with its closing brace; where it is an `if` alone, as `else if`.
    pub(super) fn otherwise(&mut self, stmts: &[Stmt]) -> Result<()> {
        let (before, lines) = (self.text.len(), self.lines.len());
        self.put("} else {");
        let start = self.text.len();
        self.region(stmts)?;
        if !is_one_if(&self.text[start..]) {
            self.put("}");
            return Ok(());
        }
        let mut chain = String::with_capacity(self.text.len() - start);
        for (i, line) in self.text[start..].lines().enumerate() {
            let line = line.get(4..).unwrap_or(line);
            if i == 0 {
                let code = line.trim_start();
                chain.push_str(&line[..line.len() - code.len()]);
                chain.push_str("} else ");
                chain.push_str(code);
            } else {
                chain.push_str(line);
            }
            chain.push('\n');
        }
        self.text.truncate(before);
        self.text.push_str(&chain);
        // The line of `else` is that of its `if` now.
        self.line -= 1;
        self.lines[lines..].iter_mut().for_each(|(line, _)| *line -= 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_one_if;

    #[test]
    fn only_an_if_alone_is_one() {
        let yes =
            ["  if (a) {\n    x = 1;\n  }\n", "  if (a) {\n    if (b) {\n    }\n  } else if (c) {\n  } else {\n  }\n"];
        let no = [
            "  let b = 1;\n  if (a) {\n  }\n",
            "  if (a) {\n  }\n  x = 1;\n",
            "  if (a) {\n  }\n  if (b) {\n  }\n",
            "  // if\n  if (a) {\n  }\n",
            "  loop {\n  }\n",
            "",
        ];
        assert!(yes.iter().all(|t| is_one_if(t)) && !no.iter().any(|t| is_one_if(t)));
    }
}
