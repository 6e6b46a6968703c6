//! The chat template of the file: a Jinja program that writes a conversation as the model was taught to read it.

use crate::meta::Meta;
use girih_base::{Diag, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into() }
    }
}

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    env: Environment<'static>,
    bos: String,
    eos: String,
}

/// Steps a template may take, far more than any real one: a hostile template must not run for ever.
const FUEL: u64 = 5_000_000;

impl ChatTemplate {
    /// The template of the file, or nothing when it has none (a base model).
    ///
    /// # Errors
    /// `M014` when the template does not compile.
    pub fn new(meta: &Meta) -> Result<Option<ChatTemplate>> {
        let Some(source) = meta.str_opt("tokenizer.chat_template")? else { return Ok(None) };
        let words = meta.strings("tokenizer.ggml.tokens")?;
        let token = |key: &str| -> Result<String> {
            let id = meta.uint_opt(key)?.and_then(|id| usize::try_from(id).ok());
            Ok(id.and_then(|id| words.get(id)).map_or(String::new(), |w| w.to_string()))
        };
        let mut env = Environment::new();
        // As Hugging Face's `apply_chat_template` sets them; templates are written for it.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        env.set_syntax(syntax.map_err(|e| failed("cannot be set up", &e))?);
        env.set_fuel(Some(FUEL));
        env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        env.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        env.add_template_owned("chat", source.to_string()).map_err(|e| failed("does not compile", &e))?;
        let (bos, eos) = (token("tokenizer.ggml.bos_token_id")?, token("tokenizer.ggml.eos_token_id")?);
        Ok(Some(ChatTemplate { env, bos, eos }))
    }

    /// The prompt for a conversation; with `generate`, it ends where the assistant's answer begins.
    ///
    /// # Errors
    /// `M014` when the template refuses the conversation (for example roles that do not alternate) or uses what does
    /// not exist here.
    pub fn render(&self, messages: &[Message], generate: bool) -> Result<String> {
        let template = self.env.get_template("chat").map_err(|e| failed("is missing", &e))?;
        let turn = |m: &Message| context! { role => m.role.as_str(), content => m.content.as_str() };
        let messages: Vec<Value> = messages.iter().map(turn).collect();
        let (bos_token, eos_token) = (self.bos.as_str(), self.eos.as_str());
        template
            .render(context! { messages, add_generation_prompt => generate, bos_token, eos_token })
            .map_err(|e| failed("cannot be applied to this conversation", &e))
    }
}

fn failed(what: &str, e: &Error) -> Box<Diag> {
    let diag = Diag::error("M014", format!("the model's chat template {what}: {e}"));
    diag.help("give the prompt as plain text, without the chat template")
}
