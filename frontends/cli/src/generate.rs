//! `girih generate`: a prompt continued by a language model.

use crate::output::{Done, Out, bytes, note, time};
use crate::progress::Progress;
use crate::rig::Rig;
use crate::{Context, Failure};
use girih_base::{Diag, Result};
use girih_driver::PlanCache;
use girih_gguf::{
    ChatTemplate, Finish, Generation, Generator, Gguf, Limits, Message, Model, Options, Runner, Sampling, Tokenizer,
};
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Tokens that prompt and answer share unless the user says otherwise; caches grow with it.
const CONTEXT: usize = 2048;

/// Arguments of `girih generate`.
#[derive(clap::Args)]
pub struct Generate {
    /// The model: a GGUF file
    #[arg(long)]
    model: PathBuf,
    /// The text to continue or to answer; `-` reads it from the standard input
    #[arg(long)]
    prompt: String,
    /// Wrap the prompt in the model's chat template (the default if it has one)
    #[arg(long, conflicts_with = "raw")]
    chat: bool,
    /// Continue the prompt as it is
    #[arg(long)]
    raw: bool,
    /// A system message for the chat template
    #[arg(long, conflicts_with = "raw")]
    system: Option<String>,
    /// Most tokens to generate
    #[arg(long, default_value_t = 256)]
    max_tokens: usize,
    /// 0 always takes the likeliest token
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Choose among this many of the likeliest tokens; 0 for all
    #[arg(long, default_value_t = 0)]
    top_k: usize,
    /// Choose among the fewest likeliest tokens of this total probability
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    /// Chooses the draws
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Tokens that prompt and answer share; 2048 or the model's own if that is less
    #[arg(long)]
    context: Option<usize>,
    /// Neither read nor keep compiled plans
    #[arg(long)]
    no_cache: bool,
}

/// Everything that is ready before the first step.
struct Session {
    runner: Runner,
    tokenizer: Tokenizer,
    prompt: Vec<u32>,
    opened: Duration,
    ready: Duration,
}

impl Generate {
    /// Loads, compiles, then streams the answer; figures go to the error output.
    pub fn run(self, context: &Context, out: Out) -> Done {
        let mut session = self.prepare(context)?;
        let sampling =
            Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p, seed: self.seed };
        let limits = Limits {
            context: session.runner.model().context(),
            max_tokens: self.max_tokens,
            chunk: session.runner.chunk(),
        };
        let mut generator = Generator::new(sampling, limits, session.tokenizer.stop_tokens().clone())?;
        let mut stream = session.tokenizer.stream();
        let mut text = String::new();
        let mut broken = None;
        let done = generator.run(&mut session.runner, &session.prompt, |token| {
            let piece = stream.push(token);
            text.push_str(&piece);
            let written =
                if context.json { Ok(()) } else { out.write_all(piece.as_bytes()).and_then(|()| out.flush()) };
            written.map_err(|e| broken = Some(e)).is_ok()
        })?;
        if let Some(e) = broken {
            return Err(e.into());
        }
        let rest = stream.finish();
        text.push_str(&rest);
        if context.json {
            serde_json::to_writer_pretty(&mut *out, &session.json(&text, &done))?;
            writeln!(out)?;
        } else {
            writeln!(out, "{rest}")?;
            session.figures(&done);
        }
        Ok(())
    }

    fn prepare(&self, context: &Context) -> Done<Session> {
        let start = Instant::now();
        let spinner = Progress::spinner(format!("opening {}", self.model.display()));
        let file = Gguf::open(&self.model)?;
        let tokenizer = Tokenizer::new(file.meta())?;
        let prompt = self.tokens(&file, &tokenizer)?;
        let model = self.open_model(&file)?;
        let rig = Rig::open(context.device)?;
        drop(spinner);
        let opened = start.elapsed();
        let name = rig.device.name();
        let cache = if self.no_cache { None } else { PlanCache::standard() };
        let mut runner = Runner::new(model, rig.target, rig.device, cache);
        // What this prompt needs: whole chunks, the rest of the prompt, single tokens.
        let chunk = runner.chunk();
        let mut lengths = vec![prompt.len().min(chunk), prompt.len() % chunk, 1];
        lengths.retain(|n| *n > 0);
        if prompt.len() > runner.model().context() {
            lengths.clear();
        }
        let bar = Progress::steps("compiling", 2 * lengths.len() as u64);
        for n in &lengths {
            bar.advance(format!("compiling for steps of {n}"));
            let info = runner.compile(*n)?;
            info.notes.iter().for_each(|text| note(&format!("note: {text}")));
        }
        let m = runner.memory();
        if !context.json && !lengths.is_empty() {
            note(&format!(
                "{name}: {} at most (weights {}, KV cache {}, intermediates {}, kept {}, in and out {})",
                bytes(m.total()),
                bytes(m.weights),
                bytes(m.states),
                bytes(m.arena),
                bytes(m.kept),
                bytes(m.ports)
            ));
        }
        for n in &lengths {
            bar.advance(format!("loading for steps of {n}"));
            runner.load(*n)?;
        }
        Ok(Session { runner, tokenizer, prompt, opened, ready: start.elapsed() })
    }

    fn open_model(&self, file: &Gguf) -> Result<Model> {
        match self.context {
            Some(context) => Model::new(file, &Options { context: Some(context), ..Options::default() }),
            None => {
                let own = file
                    .meta()
                    .str("general.architecture")
                    .and_then(|a| file.meta().uint(&format!("{a}.context_length")))?;
                let context = usize::try_from(own).unwrap_or(CONTEXT).min(CONTEXT);
                Model::new(file, &Options { context: Some(context), ..Options::default() })
            }
        }
    }

    fn tokens(&self, file: &Gguf, tokenizer: &Tokenizer) -> Done<Vec<u32>> {
        let mut text = self.prompt.clone();
        if text == "-" {
            text.clear();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| Diag::error("C003", format!("the prompt cannot be read: {e}")))?;
        }
        let template = if self.raw { None } else { ChatTemplate::new(file.meta())? };
        match template {
            Some(template) => {
                let system = self.system.iter().map(|s| Message::new("system", s.as_str()));
                let messages: Vec<Message> = system.chain([Message::new("user", text)]).collect();
                Ok(tokenizer.encode(&template.render(&messages, true)?, true)?)
            }
            None if self.chat || self.system.is_some() => Err(Failure::Diag(
                Diag::error("M014", "the model has no chat template").help("leave --chat and --system out"),
            )),
            None => Ok(tokenizer.encode_prompt(&text)?),
        }
    }
}

impl Session {
    fn compile_time(&self) -> Duration {
        self.runner.plans().map(|p| p.compile).sum()
    }

    fn figures(&self, done: &Generation) {
        let cached = self.runner.plans().filter(|p| p.cached).count();
        let launches = self.runner.plans().next().map_or(0, |p| p.launches);
        note(&format!(
            "\n{} prompt tokens in {} ({:.1} tokens/s), {} tokens at {:.1} tokens/s, {}",
            done.prompt_tokens,
            time(done.first_token),
            done.prompt_speed(),
            done.tokens.len(),
            done.decode_speed(),
            ended(done.finish)
        ));
        note(&format!(
            "first token {} after the start: opened in {}, {} plans ({cached} from the cache) in {}; {launches} launches per token",
            time(self.ready + done.first_token),
            time(self.opened),
            self.runner.plans().count(),
            time(self.compile_time()),
        ));
    }

    fn json(&self, text: &str, done: &Generation) -> serde_json::Value {
        let m = self.runner.memory();
        let plans: Vec<_> = self
            .runner
            .plans()
            .map(|p| {
                json!({
                    "tokens": [p.tokens.0, p.tokens.1], "cached": p.cached, "launches": p.launches,
                    "compile_s": p.compile.as_secs_f64(), "load_s": p.load.as_secs_f64(),
                })
            })
            .collect();
        json!({
            "text": text,
            "tokens": done.tokens,
            "finish": ended(done.finish),
            "prompt_tokens": done.prompt_tokens,
            "open_s": self.opened.as_secs_f64(),
            "compile_s": self.compile_time().as_secs_f64(),
            "ready_s": self.ready.as_secs_f64(),
            "first_token_s": done.first_token.as_secs_f64(),
            "prompt_tokens_per_s": done.prompt_speed(),
            "decode_tokens_per_s": done.decode_speed(),
            "memory_bytes": m.total(),
            "plans": plans,
        })
    }
}

fn ended(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "ended by itself",
        Finish::Length => "ended at the token limit",
        Finish::Context => "ended with the context full",
        Finish::Cancelled => "cancelled",
    }
}
