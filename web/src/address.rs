//! The address as the page's state: `/?template=react-ts`.
//!
//! A template is opened by going to its address, so links can be shared and the
//! back button closes what was opened.

use gloo::events::EventListener;
use gloo::utils::window;
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use web_sys::UrlSearchParams;

const PARAMETER: &str = "template";

/// The link that opens a template.
pub fn of(template: &str) -> String {
    let query = UrlSearchParams::new().ok();
    query.map_or_else(String::new, |query| {
        query.set(PARAMETER, template);
        format!("/?{}", String::from(query.to_string()))
    })
}

/// The name of the open template, kept up to date with the address.
pub fn follow() -> RwSignal<Option<String>> {
    let open = RwSignal::new(current());
    // The page lives as long as its document, and so does this.
    EventListener::new(&window(), "popstate", move |_| open.set(current())).forget();
    open
}

/// Goes to a link of [`of`] without loading the page again.
pub fn go(link: &str, open: RwSignal<Option<String>>) {
    let moved = window().history().and_then(|history| history.push_state_with_url(&JsValue::NULL, "", Some(link)));
    // Where the browser refuses (too many calls), the ordinary way is still there.
    if moved.is_err() {
        let _ = window().location().set_href(link);
    }
    open.set(current());
}

fn current() -> Option<String> {
    let query = window().location().search().ok()?;
    UrlSearchParams::new_with_str(&query).ok()?.get(PARAMETER)
}
