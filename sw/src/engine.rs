//! Drives a [`Project`]: applies messages, fetches what a build needs, sends what it came to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bundler::{Assets, Need, PrebuildStep, Prebuilder, Project, RuntimeScripts, Script, Step};
use js_sys::{Function, Promise};
use protocol::{ClientMessage, Json, PreviewMessage};
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::npm;
use crate::wire::{self, BootRequest, MappedFrames, Record, to_js};

/// How an engine is set up by its worker.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    mode: protocol::Mode,
    assets: ConfigAssets,
    /// Texts of our scripts, for documents that can load nothing.
    #[serde(default)]
    texts: ConfigTexts,
}

#[derive(Deserialize)]
struct ConfigAssets {
    runtime: String,
    refresh: String,
}

#[derive(Deserialize, Default)]
struct ConfigTexts {
    runtime: Option<String>,
    refresh: Option<String>,
}

/// The bundler of one worker.
#[wasm_bindgen]
pub struct Engine {
    state: Rc<State>,
}

struct State {
    project: RefCell<Option<Project>>,
    entry: RefCell<Option<String>>,
    config: Config,
    emit: Function,
    /// A build waits for the network; later edits join it.
    building: Cell<bool>,
    /// Resolve functions of requests that wait for the build.
    waiting: RefCell<Vec<Function>>,
}

#[wasm_bindgen]
impl Engine {
    /// Makes an engine. `config` is `{mode, assets: {runtime, refresh}, texts?}`; `emit` gets messages.
    ///
    /// # Errors
    /// The configuration isn't one.
    #[wasm_bindgen(constructor)]
    pub fn new(config: JsValue, emit: Function) -> Result<Engine, JsError> {
        std::panic::set_hook(Box::new(|info| gloo::console::error!(info.to_string())));
        let state = State {
            project: RefCell::default(),
            entry: RefCell::default(),
            config: wire::from_js(config)?,
            emit,
            building: Cell::new(false),
            waiting: RefCell::default(),
        };
        Ok(Engine { state: Rc::new(state) })
    }

    /// Answers a message of the boot page; resolves to the value of its reply.
    ///
    /// # Errors
    /// The message can't be read, or what it asks for isn't there.
    pub async fn request(&self, message: JsValue) -> Result<JsValue, JsError> {
        let state = Rc::clone(&self.state);
        let kind = js_sys::Reflect::get(&message, &"type".into()).ok().and_then(|kind| kind.as_string());
        match kind.as_deref() {
            Some("document" | "mapFrames" | "chunk" | "warm") => state.boot_request(wire::from_js(message)?).await,
            Some(_) => state.client_message(wire::from_js(message)?).await,
            None => Err(JsError::new("The message has no type.")),
        }
    }

    /// Answers a GET of a path of the project; undefined while nothing is mounted.
    pub async fn respond(&self, path: String, query: String) -> JsValue {
        if path == "/__sandglass/chunk" {
            return self.state.lazy_response(&query).await;
        }
        match &*self.state.project.borrow() {
            Some(project) => wire::response(&project.respond(&path, &query)),
            None => JsValue::UNDEFINED,
        }
    }

    /// What a worker that wakes without memory should keep: `{entries: [path, response][], project: string}`.
    pub fn pack(&self) -> JsValue {
        let project = self.state.project.borrow();
        let Some(project) = project.as_ref().filter(|project| project.document().is_some()) else {
            return JsValue::UNDEFINED;
        };
        let record = Record::new(project, self.state.entry.borrow().clone());
        let entries: js_sys::Array = project
            .pack()
            .iter()
            .map(|(path, response)| js_sys::Array::of2(&JsValue::from_str(path), &wire::response(response)))
            .collect();
        let out = js_sys::Object::new();
        let text = serde_json::to_string(&record).unwrap_or_default();
        // Setting properties of a fresh plain object can't fail.
        let _ = js_sys::Reflect::set(&out, &"entries".into(), &entries);
        let _ = js_sys::Reflect::set(&out, &"project".into(), &JsValue::from_str(&text));
        out.into()
    }

    /// Mounts what [`Engine::pack`] gave, without telling the page.
    ///
    /// # Errors
    /// The text isn't such a record.
    pub async fn restore(&self, project: String) -> Result<(), JsError> {
        let record: Record = serde_json::from_str(&project)?;
        self.state.mount(record.into_project())?;
        Rc::clone(&self.state).build(false).await;
        Ok(())
    }
}

impl State {
    async fn client_message(self: Rc<Self>, message: ClientMessage) -> Result<JsValue, JsError> {
        match message {
            ClientMessage::Mount { project } => {
                self.mount(project)?;
                Rc::clone(&self).build(true).await;
                Ok(self.revision())
            }
            ClientMessage::Write { files } => {
                self.with(|project| {
                    for (path, content) in files {
                        project
                            .write(&path, content.map(wire::bytes))
                            .map_err(|error| JsError::new(&error.to_string()))?;
                    }
                    Ok(())
                })?;
                Ok(self.edited())
            }
            ClientMessage::Rename { from, to } => {
                self.with(|project| project.rename(&from, &to).map_err(|error| JsError::new(&error)))?;
                Ok(self.edited())
            }
            ClientMessage::ReadFile { path } => self.with(|project| {
                let bytes = project.read(&path).ok_or_else(|| JsError::new(&format!("{path} doesn't exist.")))?;
                Ok(to_js(&wire::content(bytes)))
            }),
            ClientMessage::List => self.with(|project| Ok(to_js(&Json::Paths(project.list())))),
            ClientMessage::Reload { .. } | ClientMessage::Stop | ClientMessage::Evaluate { .. } => {
                Err(JsError::new("The boot page answers this itself."))
            }
        }
    }

    async fn boot_request(self: Rc<Self>, request: BootRequest) -> Result<JsValue, JsError> {
        match request {
            BootRequest::Document => {
                self.with(|project| Ok(project.document().map_or(JsValue::NULL, JsValue::from_str)))
            }
            BootRequest::MapFrames { frames } => self.with(|project| Ok(to_js(&map_frames(project, frames)))),
            BootRequest::Chunk { entry } => {
                let text = self.lazy(&entry).await.map_err(|error| JsError::new(&error))?;
                Ok(JsValue::from_str(&text))
            }
            BootRequest::Warm => {
                warm();
                Ok(JsValue::UNDEFINED)
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Project) -> Result<T, JsError>) -> Result<T, JsError> {
        match &mut *self.project.borrow_mut() {
            Some(project) => act(project),
            None => Err(JsError::new("lost")),
        }
    }

    fn revision(&self) -> JsValue {
        self.project.borrow().as_ref().map_or(JsValue::UNDEFINED, |project| project.revision().into())
    }

    fn emit(&self, message: &JsValue) {
        // A page that throws at a message has itself to blame; builds go on.
        let _ = self.emit.call1(&JsValue::NULL, message);
    }

    fn mount(&self, source: protocol::Project) -> Result<(), JsError> {
        let (assets, scripts) = self.delivery();
        let mut project = Project::new(assets, scripts);
        let mut total = 0;
        for (path, content) in source.files {
            let bytes = wire::bytes(content);
            total += bytes.len();
            if total > wire::MAX_MESSAGE_BYTES {
                return Err(JsError::new("The project is larger than 512 MiB."));
            }
            project.write(&path, Some(bytes)).map_err(|error| JsError::new(&error.to_string()))?;
        }
        // A lock that can't be read is solved anew; nothing is lost by it.
        let _ = project.configure(source.entry.clone(), source.lock.as_deref());
        *self.entry.borrow_mut() = source.entry;
        *self.project.borrow_mut() = Some(project);
        Ok(())
    }

    fn delivery(&self) -> (Assets, RuntimeScripts) {
        let script = |text: &Option<String>, src: &str| match text {
            Some(text) => Script::Text(text.as_str().into()),
            None => Script::Src(src.to_owned()),
        };
        let Config { assets, texts, .. } = &self.config;
        match self.config.mode {
            protocol::Mode::Worker => {
                let src = |src: &str| Script::Src(src.to_owned());
                (Assets::ByUrl, RuntimeScripts { runtime: src(&assets.runtime), refresh: src(&assets.refresh) })
            }
            protocol::Mode::Fallback => {
                let runtime = script(&texts.runtime, &assets.runtime);
                let refresh = script(&texts.refresh, &assets.refresh);
                (Assets::Inline, RuntimeScripts { runtime, refresh })
            }
        }
    }

    /// Builds after an edit, without making the editor wait for it.
    fn edited(self: Rc<Self>) -> JsValue {
        let revision = self.revision();
        wasm_bindgen_futures::spawn_local(self.build(true));
        revision
    }

    /// Steps until the files as they are have been built. Only one build runs;
    /// a call while it waits for the network waits with it.
    async fn build(self: Rc<Self>, tell: bool) {
        if self.building.replace(true) {
            let done = Promise::new(&mut |resolve, _| self.waiting.borrow_mut().push(resolve));
            let _ = wasm_bindgen_futures::JsFuture::from(done).await;
            return;
        }
        loop {
            let step = match &mut *self.project.borrow_mut() {
                Some(project) => project.step(),
                None => break,
            };
            match step {
                Step::Needs(needs) => self.supply(needs).await,
                Step::Done(outcome) => {
                    if tell {
                        for message in wire::messages(outcome) {
                            self.emit(&message);
                        }
                    }
                    break;
                }
            }
        }
        self.building.set(false);
        for resolve in self.waiting.take() {
            let _ = resolve.call0(&JsValue::NULL);
        }
    }

    async fn supply(self: &Rc<Self>, needs: Vec<Need>) {
        let total = needs.len() as u32;
        let done = Rc::new(Cell::new(0));
        let promises = needs.into_iter().map(|need| {
            let (state, done) = (Rc::clone(self), Rc::clone(&done));
            state.progress(need_text(&need), 0, total);
            future_to_promise(async move {
                let text = need_text(&need);
                state.supply_one(need).await;
                done.set(done.get() + 1);
                state.progress(text, done.get(), total);
                Ok(JsValue::UNDEFINED)
            })
        });
        npm::all(promises.collect()).await;
    }

    fn progress(&self, text: String, done: u32, total: u32) {
        self.emit(&to_js(&PreviewMessage::Progress { text, done, total }));
    }

    async fn supply_one(&self, need: Need) {
        match need {
            Need::Packument(name) => {
                let bytes = npm::packument(&name).await;
                self.supplied(|project| project.supply_packument(&name, bytes));
            }
            Need::Prebuilt { key, lock, entries } => {
                let text = npm::prebuilt(&key, &lock, &entries).await;
                self.supplied(|project| project.supply_prebuilt(&key, text));
            }
            Need::Tarball(package) => {
                let bytes = npm::tarball(&package).await;
                self.supplied(|project| project.supply_tarball(&package.folder, bytes));
            }
        }
    }

    fn supplied(&self, act: impl FnOnce(&mut Project)) {
        if let Some(project) = &mut *self.project.borrow_mut() {
            act(project);
        }
    }

    async fn lazy_response(&self, query: &str) -> JsValue {
        let entry = query.split('&').find_map(|pair| pair.strip_prefix("entry=")).unwrap_or("");
        let entry = js_sys::decode_uri_component(entry).map_or_else(|_| String::new(), String::from);
        let text = self.lazy(&entry).await.unwrap_or_else(|error| format!("throw new Error({error:?});\n"));
        let body = bundler::Body::Text(text.into());
        let content_type = "text/javascript; charset=utf-8";
        wire::response(&bundler::Response { status: 200, content_type, immutable: false, body })
    }

    /// A package's module that is imported late: a chunk of its own, without what the page has.
    async fn lazy(&self, entry: &str) -> Result<String, String> {
        let lock = self.project.borrow().as_ref().and_then(Project::lock_text).ok_or("nothing is mounted")?;
        if !entry.starts_with("/node_modules/") {
            return Err(format!("{entry} is not a module of this project"));
        }
        let entries = [entry.to_owned()];
        let key = bundler::prebuild_key(&lock, &entries)?;
        if let Some(text) = npm::prebuilt(&key, &lock, &entries).await {
            return Ok(text.to_string());
        }
        let mut builder = Prebuilder::from_text(&lock, &entries)?;
        loop {
            match builder.step() {
                PrebuildStep::Done(text) => return Ok(text),
                PrebuildStep::Needs(packages) => {
                    for package in packages {
                        let bytes = npm::tarball(&package).await;
                        builder.supply(&package.folder, bytes);
                    }
                }
            }
        }
    }
}

fn need_text(need: &Need) -> String {
    match need {
        Need::Packument(name) => format!("Looking up {name}"),
        Need::Prebuilt { entries, .. } => format!("Preparing {}", entries.join(", ")),
        Need::Tarball(package) => format!("Installing {} {}", package.name, package.version),
    }
}

fn map_frames(project: &Project, frames: Vec<protocol::Frame>) -> MappedFrames {
    let mut code_frame = None;
    let frames = frames
        .into_iter()
        .map(|frame| match project.locate(&frame.file, frame.line, frame.column) {
            None => frame,
            Some(place) => {
                if code_frame.is_none() {
                    code_frame = project.code_frame(&place);
                }
                protocol::Frame { function: frame.function, file: place.file, line: place.line, column: place.column }
            }
        })
        .collect();
    MappedFrames { frames, code_frame }
}

/// Builds a small project and throws it away, so that the code is compiled before the first edit.
fn warm() {
    let mut project = Project::new(Assets::ByUrl, RuntimeScripts::default());
    let source = "import './b';const A=({n}:{n:number})=><p title=\"a\">{n}</p>;export default A;";
    let files =
        [("/index.html", "<script type=module src=/a.tsx></script>"), ("/a.tsx", source), ("/b.ts", "enum E{A}")];
    for (path, text) in files {
        let _ = project.write(path, Some(text.as_bytes().into()));
    }
    let _ = project.step();
}
