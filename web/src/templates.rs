//! The list of templates, fetched from the app origin.

use gloo::net::http::Request;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

const LIST: &str = "/templates/index.json";

/// A starting project, as the gallery shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Template {
    /// The name in `/templates/NAME.json`.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What is in it, in a sentence.
    pub description: String,
}

/// Fetches the list.
///
/// # Errors
/// A sentence for the reader.
pub async fn fetch() -> Result<Vec<Template>, String> {
    let response = Request::get(LIST).send().await.map_err(|_| "The list of templates can't be reached.".to_owned())?;
    if !response.ok() {
        return Err(format!("The list of templates came back with status {}.", response.status()));
    }
    parse(response).await.map_err(|_| "The list of templates can't be read.".to_owned())
}

/// Parsed by the browser and then by type: smaller than a JSON parser in this module.
async fn parse(response: gloo::net::http::Response) -> Result<Vec<Template>, JsValue> {
    let response: web_sys::Response = response.into();
    let value = JsFuture::from(response.json()?).await?;
    Ok(serde_wasm_bindgen::from_value(value)?)
}
