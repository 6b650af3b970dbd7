//! The app origin's front page: the templates as a gallery, each opened as a
//! live playground.
//!
//! In:  `/templates/index.json`, and the address, whose `?template=NAME` says
//!      which one is open.
//! Out: what stands in the page's `#gallery`. Everything else on the page is
//!      static and readable before this module is there.
//!
//! The playground itself is `<sandglass-playground>`: this crate knows neither
//! editor nor bundler.
//!
//! Views are built by functions, not by `view!`: the macro hands markup to
//! `innerHTML`, which the page's Trusted Types policy refuses.

mod address;
mod gallery;
mod templates;

use wasm_bindgen::prelude::*;

/// Takes over `#gallery`, on a page that has one.
#[wasm_bindgen(start)]
pub fn start() {
    let Some(place) = gloo::utils::document().get_element_by_id("gallery") else {
        return;
    };
    // What was there says that this module is on its way.
    place.set_text_content(None);
    leptos::mount::mount_to(place.unchecked_into(), gallery::gallery).forget();
}
