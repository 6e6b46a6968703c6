//! Language models: a thread of its own owns each, and answers come through channels.

use crate::device::{Fresh, fresh};
use crate::fault::raise;
use girih_base::{Diag, Result};
use girih_driver::PlanCache;
use girih_gguf::{
    ChatTemplate, Finish, Generation, Generator, Gguf, Limits, Message, Options, Runner, Sampling, Tokenizer,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Tokens that prompt and answer share unless the user says otherwise; caches grow with it.
const CONTEXT: usize = 2048;

/// How often a wait looks for Ctrl-C.
const GLANCE: Duration = Duration::from_millis(50);

/// A model that is open on a device.
#[pyclass(frozen, module = "girih._girih")]
pub struct Model {
    requests: Mutex<Sender<Request>>,
    device: String,
    about: About,
}

/// An answer as it is written. Letting go of it ends the work.
#[pyclass(frozen, module = "girih._girih")]
pub struct Answer {
    events: Mutex<Receiver<Event>>,
    done: Mutex<Option<Generation>>,
}

#[derive(Clone)]
struct About {
    architecture: String,
    context: usize,
    chat: bool,
}

enum Prompt {
    Text(String),
    Chat(Vec<(String, String)>),
}

struct Request {
    prompt: Prompt,
    sampling: Sampling,
    max_tokens: usize,
    answer: Sender<Event>,
}

enum Event {
    Text(String),
    Done(Generation),
    Failed(Box<Diag>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone() -> Box<Diag> {
    Diag::error("Y004", "the model's thread has ended")
        .note("an earlier answer made it fail")
        .help("open the model again")
}

#[pymethods]
impl Model {
    /// Opens a file on a device; plans are compiled when the first prompt needs them.
    #[new]
    #[pyo3(signature = (path, device, context = None))]
    fn new(py: Python<'_>, path: String, device: String, context: Option<usize>) -> PyResult<Model> {
        let (requests, inbox) = channel::<Request>();
        let (ready, opened) = channel();
        raise(py.detach(move || {
            let worker = move || match Worker::open(&path, &device, context) {
                Ok((mut worker, name, about)) => {
                    if ready.send(Ok((name, about))).is_ok() {
                        inbox.into_iter().for_each(|request| worker.answer(request));
                    }
                }
                // Nobody waits if the receiver is gone.
                Err(diag) => drop(ready.send(Err(diag))),
            };
            thread::Builder::new()
                .name("girih-model".into())
                .spawn(worker)
                .map_err(|e| Diag::error("Y004", format!("no thread for the model: {e}")))?;
            let (device, about) = opened.recv().map_err(|_| gone())??;
            Ok(Model { requests: Mutex::new(requests), device, about })
        }))
    }

    /// Name of the device.
    #[getter]
    fn device(&self) -> &str {
        &self.device
    }

    /// Family of the model, as the file names it.
    #[getter]
    fn architecture(&self) -> &str {
        &self.about.architecture
    }

    /// Tokens that prompt and answer share.
    #[getter]
    fn context(&self) -> usize {
        self.about.context
    }

    /// Whether the file has a chat template.
    #[getter]
    fn has_chat_template(&self) -> bool {
        self.about.chat
    }

    /// Continues a text.
    fn complete(
        &self,
        prompt: String,
        max_tokens: usize,
        temperature: f32,
        top_k: usize,
        top_p: f32,
        seed: u64,
    ) -> PyResult<Answer> {
        self.ask(Prompt::Text(prompt), Sampling { temperature, top_k, top_p, seed }, max_tokens)
    }

    /// Answers a conversation of (role, text), through the model's chat template.
    fn chat(
        &self,
        messages: Vec<(String, String)>,
        max_tokens: usize,
        temperature: f32,
        top_k: usize,
        top_p: f32,
        seed: u64,
    ) -> PyResult<Answer> {
        self.ask(Prompt::Chat(messages), Sampling { temperature, top_k, top_p, seed }, max_tokens)
    }
}

impl Model {
    fn ask(&self, prompt: Prompt, sampling: Sampling, max_tokens: usize) -> PyResult<Answer> {
        let (answer, events) = channel();
        let sent = lock(&self.requests).send(Request { prompt, sampling, max_tokens, answer });
        raise(sent.map_err(|_| gone()))?;
        Ok(Answer { events: Mutex::new(events), done: Mutex::new(None) })
    }
}

#[pymethods]
impl Answer {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    /// The next piece of text, in whole characters.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        loop {
            if lock(&self.done).is_some() {
                return Ok(None);
            }
            match py.detach(|| lock(&self.events).recv_timeout(GLANCE)) {
                Ok(Event::Text(text)) => return Ok(Some(text)),
                Ok(Event::Done(done)) => *lock(&self.done) = Some(done),
                Ok(Event::Failed(diag)) => return raise(Err(diag)),
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
                Err(RecvTimeoutError::Disconnected) => return raise(Err(gone())),
            }
        }
    }

    /// What came of it, once all text was read: tokens, why it ended, figures.
    #[getter]
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let done = lock(&self.done);
        let Some(done) = &*done else { return Ok(None) };
        let finish = match done.finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Context => "context",
            Finish::Cancelled => "cancelled",
        };
        let row = PyDict::new(py);
        row.set_item("tokens", &done.tokens)?;
        row.set_item("finish", finish)?;
        row.set_item("prompt_tokens", done.prompt_tokens)?;
        row.set_item("first_token_seconds", done.first_token.as_secs_f64())?;
        row.set_item("prompt_tokens_per_second", done.prompt_speed())?;
        row.set_item("tokens_per_second", done.decode_speed())?;
        Ok(Some(row))
    }
}

/// What the model's thread owns.
struct Worker {
    runner: Runner,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
}

impl Worker {
    fn open(path: &str, device: &str, context: Option<usize>) -> Result<(Worker, String, About)> {
        let file = Gguf::open(path)?;
        let tokenizer = Tokenizer::new(file.meta())?;
        let template = ChatTemplate::new(file.meta())?;
        let architecture = file.meta().str("general.architecture")?.to_string();
        let own = file.meta().uint(&format!("{architecture}.context_length"))?;
        let own = usize::try_from(own).unwrap_or(CONTEXT).min(CONTEXT);
        let options = Options { context: Some(context.unwrap_or(own)), ..Options::default() };
        let model = girih_gguf::Model::new(&file, &options)?;
        let Fresh { name, target, device, .. } = fresh(device)?;
        let about = About { architecture, context: model.context(), chat: template.is_some() };
        let runner = Runner::new(model, target, device, PlanCache::standard());
        Ok((Worker { runner, tokenizer, template }, name, about))
    }

    fn answer(&mut self, request: Request) {
        let last = match self.generate(&request) {
            Ok(done) => Event::Done(done),
            Err(diag) => Event::Failed(diag),
        };
        // Nobody reads on if the receiver is gone.
        drop(request.answer.send(last));
    }

    fn generate(&mut self, request: &Request) -> Result<Generation> {
        let prompt = self.tokens(&request.prompt)?;
        let (context, chunk) = (self.runner.model().context(), self.runner.chunk());
        let limits = Limits { context, max_tokens: request.max_tokens, chunk };
        let mut generator = Generator::new(request.sampling.clone(), limits, self.tokenizer.stop_tokens().clone())?;
        let mut stream = self.tokenizer.stream();
        let send = |text: String| text.is_empty() || request.answer.send(Event::Text(text)).is_ok();
        let done = generator.run(&mut self.runner, &prompt, |token| send(stream.push(token)))?;
        send(stream.finish());
        Ok(done)
    }

    fn tokens(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        match (prompt, &self.template) {
            (Prompt::Text(text), _) => self.tokenizer.encode_prompt(text),
            (Prompt::Chat(messages), Some(template)) => {
                let messages: Vec<_> = messages.iter().map(|(role, text)| Message::new(role, text)).collect();
                self.tokenizer.encode(&template.render(&messages, true)?, true)
            }
            (Prompt::Chat(_), None) => {
                Err(Diag::error("M014", "the model has no chat template").help("give the prompt as one text"))
            }
        }
    }
}
