//! Generating text: the prompt in chunks, then token by token, until a stop token or a limit.

use crate::sample::{Sampler, Sampling};
use crate::tokenizer::Tokenizer;
use girih_base::{Diag, Result};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Whatever can run one step of a model: a compiled plan on a device, or a reference.
pub trait Step {
    /// Runs `tokens` (at least one) at positions `pos..pos + tokens.len()` and gives the logits after the last of them.
    /// Steps come in order: `pos` is the number of tokens given before, or 0 for a new text.
    fn step(&mut self, tokens: &[u32], pos: usize) -> Result<Vec<f32>>;
}

/// What limits a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Tokens the model can hold, prompt and answer together.
    pub context: usize,
    /// Most tokens to generate.
    pub max_tokens: usize,
    /// Most tokens of the prompt in one step.
    pub chunk: usize,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model gave a stop token, which is not part of the output.
    Stop,
    /// `max_tokens` were generated.
    Length,
    /// The context is full.
    Context,
    /// The callback asked to stop.
    Cancelled,
}

/// What was generated, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The generated tokens, without the stop token.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// From the start to the first generated token: the time the prompt takes.
    pub first_token: Duration,
    /// Steps after the first token.
    pub decode_steps: usize,
    /// From the first generated token to the end.
    pub decode_time: Duration,
}

/// Generates one text after the other.
#[derive(Clone, Debug)]
pub struct Generator {
    sampler: Sampler,
    limits: Limits,
    stop: BTreeSet<u32>,
}

impl Generator {
    /// A generator that ends at any token of `stop`.
    ///
    /// # Errors
    /// `M016` for sampling settings out of range, `M015` for a context or chunk of 0.
    pub fn new(sampling: Sampling, limits: Limits, stop: BTreeSet<u32>) -> Result<Generator> {
        if limits.context == 0 || limits.chunk == 0 {
            return Err(Diag::error(
                "M015",
                format!("a context of {} tokens in chunks of {}", limits.context, limits.chunk),
            )
            .help("both must be at least 1"));
        }
        Ok(Generator { sampler: Sampler::new(sampling)?, limits, stop })
    }

    /// Continues a prompt. `on_token` sees every token as it comes and ends the generation by giving `false`.
    ///
    /// # Errors
    /// `M015` for an empty prompt or one that does not fit the context; whatever the model's steps give.
    pub fn run(
        &mut self,
        model: &mut impl Step,
        prompt: &[u32],
        mut on_token: impl FnMut(u32) -> bool,
    ) -> Result<Generation> {
        self.check(prompt)?;
        let start = Instant::now();
        let mut pos = 0;
        let mut logits = Vec::new();
        for chunk in prompt.chunks(self.limits.chunk) {
            logits = model.step(chunk, pos)?;
            pos += chunk.len();
        }
        let (mut tokens, mut first_token) = (Vec::new(), None);
        let mut decode_steps = 0;
        let finish = loop {
            if tokens.len() == self.limits.max_tokens {
                break Finish::Length;
            }
            let token = self.sampler.next(&logits)?;
            first_token.get_or_insert_with(|| start.elapsed());
            if self.stop.contains(&token) {
                break Finish::Stop;
            }
            tokens.push(token);
            if !on_token(token) {
                break Finish::Cancelled;
            }
            if tokens.len() == self.limits.max_tokens {
                break Finish::Length;
            }
            if pos == self.limits.context {
                break Finish::Context;
            }
            logits = model.step(&[token], pos)?;
            pos += 1;
            decode_steps += 1;
        };
        let (prompt_tokens, total) = (prompt.len(), start.elapsed());
        let first_token = first_token.unwrap_or(total);
        let decode_time = total.saturating_sub(first_token);
        Ok(Generation { tokens, finish, prompt_tokens, first_token, decode_steps, decode_time })
    }

    /// Continues a prompt given as text; `on_text` sees the answer in pieces of whole characters.
    pub fn run_text(
        &mut self,
        model: &mut impl Step,
        tokenizer: &Tokenizer,
        prompt: &str,
        mut on_text: impl FnMut(&str) -> bool,
    ) -> Result<Generation> {
        let prompt = tokenizer.encode_prompt(prompt)?;
        let mut stream = tokenizer.stream();
        let done = self.run(model, &prompt, |token| {
            let text = stream.push(token);
            text.is_empty() || on_text(&text)
        })?;
        let rest = stream.finish();
        if !rest.is_empty() {
            on_text(&rest);
        }
        Ok(done)
    }

    fn check(&self, prompt: &[u32]) -> Result<()> {
        if prompt.is_empty() {
            return Err(Diag::error("M015", "the prompt is empty").help("give at least one character of text"));
        }
        if prompt.len() <= self.limits.context {
            return Ok(());
        }
        Err(Diag::error(
            "M015",
            format!("the prompt has {} tokens, the context holds {}", prompt.len(), self.limits.context),
        )
        .note("prompt and answer share the context")
        .help("shorten the prompt, or give a larger context if the model has one"))
    }
}

impl Generation {
    /// Tokens of the prompt per second.
    pub fn prompt_speed(&self) -> f64 {
        speed(self.prompt_tokens, self.first_token)
    }

    /// Generated tokens per second, the first one not counted.
    pub fn decode_speed(&self) -> f64 {
        speed(self.decode_steps, self.decode_time)
    }
}

fn speed(count: usize, time: Duration) -> f64 {
    if count == 0 { 0.0 } else { count as f64 / time.as_secs_f64().max(1e-9) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    /// A model that always continues `t` with `t + 1`, and records its steps.
    #[derive(Default)]
    struct Counting {
        steps: Vec<(Vec<u32>, usize)>,
    }

    impl Step for Counting {
        fn step(&mut self, tokens: &[u32], pos: usize) -> Result<Vec<f32>> {
            self.steps.push((tokens.to_vec(), pos));
            let next = tokens[tokens.len() - 1] as usize + 1;
            Ok((0..100).map(|t| if t == next { 1.0 } else { 0.0 }).collect())
        }
    }

    fn generator(context: usize, max_tokens: usize, chunk: usize) -> Generator {
        Generator::new(Sampling::default(), Limits { context, max_tokens, chunk }, [50].into()).unwrap()
    }

    #[test]
    fn the_prompt_goes_in_chunks_and_the_answer_token_by_token() {
        let mut model = Counting::default();
        let done = generator(99, 3, 2).run(&mut model, &[1, 2, 3, 4, 5], |_| true).unwrap();
        assert_eq!(
            (done.tokens, done.finish, done.prompt_tokens, done.decode_steps),
            (vec![6, 7, 8], Finish::Length, 5, 2)
        );
        let steps = [(vec![1, 2], 0), (vec![3, 4], 2), (vec![5], 4), (vec![6], 5), (vec![7], 6)];
        assert_eq!(model.steps, steps);
    }

    #[test]
    fn a_generation_ends_for_the_right_reason() {
        let run = |mut g: Generator, prompt: &[u32], keep: fn(u32) -> bool| {
            let mut model = Counting::default();
            let done = g.run(&mut model, prompt, keep).unwrap();
            let last = model.steps.last().unwrap();
            assert!(last.1 + last.0.len() <= g.limits.context, "{last:?} is outside the context");
            (done.tokens, done.finish)
        };
        assert_eq!(run(generator(99, 9, 9), &[47], |_| true), (vec![48, 49], Finish::Stop));
        assert_eq!(run(generator(99, 0, 9), &[47], |_| true), (vec![], Finish::Length));
        assert_eq!(run(generator(99, 9, 9), &[1], |t| t < 3), (vec![2, 3], Finish::Cancelled));
        assert_eq!(run(generator(3, 9, 9), &[1, 2], |_| true), (vec![3, 4], Finish::Context));
        assert_eq!(run(generator(2, 9, 9), &[1, 2], |_| true), (vec![3], Finish::Context));
    }

    #[test]
    fn prompts_that_do_not_fit_are_refused_before_any_step() {
        let mut model = Counting::default();
        for prompt in [&[][..], &[1, 2, 3, 4]] {
            let diag = generator(3, 9, 9).run(&mut model, prompt, |_| true).unwrap_err();
            assert!(diag.code == "M015" && diag.help.is_some(), "{diag}");
        }
        assert!(model.steps.is_empty());
        assert!(
            Generator::new(Sampling::default(), Limits { context: 0, max_tokens: 1, chunk: 1 }, BTreeSet::new())
                .is_err()
        );
    }

    #[test]
    fn a_failing_step_ends_the_generation_with_its_error() {
        struct Failing;
        impl Step for Failing {
            fn step(&mut self, _: &[u32], _: usize) -> Result<Vec<f32>> {
                Err(Diag::error("X001", "lost"))
            }
        }
        assert_eq!(generator(9, 9, 9).run(&mut Failing, &[1], |_| true).unwrap_err().code, "X001");
    }

    #[test]
    fn speeds_are_tokens_over_time() {
        let ms = Duration::from_millis;
        let (tokens, finish) = (vec![1, 2, 3], Finish::Length);
        let g = Generation {
            tokens,
            finish,
            prompt_tokens: 10,
            first_token: ms(500),
            decode_steps: 2,
            decode_time: ms(100),
        };
        assert_eq!((g.prompt_speed(), g.decode_speed()), (20.0, 20.0));
        assert_eq!(Generation { decode_steps: 0, ..g }.decode_speed(), 0.0);
    }
}
