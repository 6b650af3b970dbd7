//! The gallery: a card a template, and below them the one that is open.

use gloo::utils::document;
use leptos::attr::custom::CustomAttribute as _;
use leptos::ev::{self, MouseEvent};
use leptos::html::{a, button, custom, div, h3, li, p, section, span, ul};
use leptos::prelude::*;
use leptos::tachys::view::keyed::keyed;

use crate::address;
use crate::templates::{Template, fetch};

/// How far the list has come.
#[derive(Debug, Clone)]
enum Listing {
    Loading,
    Failed(String),
    Loaded(Vec<Template>),
}

/// The whole of it.
pub fn gallery() -> impl IntoView {
    let listing = RwSignal::new(Listing::Loading);
    let open = address::follow();
    let current = Memo::new(move |_| find(&listing.read(), open.read().as_deref()));
    Effect::new(move |_| document().set_title(&title(current.get().as_ref())));
    load(listing);
    div().class("gallery").child((move || cards(listing, open), move || keyed(current.get(), key, playground(open))))
}

fn load(listing: RwSignal<Listing>) {
    listing.set(Listing::Loading);
    wasm_bindgen_futures::spawn_local(async move {
        listing.set(match fetch().await {
            Ok(templates) => Listing::Loaded(templates),
            Err(reason) => Listing::Failed(reason),
        });
    });
}

fn find(listing: &Listing, name: Option<&str>) -> Option<Template> {
    let Listing::Loaded(templates) = listing else {
        return None;
    };
    templates.iter().find(|template| Some(template.name.as_str()) == name).cloned()
}

fn title(open: Option<&Template>) -> String {
    open.map_or_else(|| "Sandglass".to_owned(), |template| format!("{} · Sandglass", template.title))
}

fn cards(listing: RwSignal<Listing>, open: RwSignal<Option<String>>) -> AnyView {
    match listing.get() {
        Listing::Loading => p().class("quiet").child("Loading the templates…").into_any(),
        Listing::Failed(reason) => failure(reason, listing).into_any(),
        Listing::Loaded(templates) => {
            let cards = templates.into_iter().map(|template| card(template, open)).collect_view();
            ul().class("cards").child(cards).into_any()
        }
    }
}

fn failure(reason: String, listing: RwSignal<Listing>) -> impl IntoView {
    let again = button().r#type("button").on(ev::click, move |_| load(listing)).child("Try again");
    p().role("alert").child((reason, " ", again))
}

/// A card is a link, so that it opens in a new tab, too.
fn card(template: Template, open: RwSignal<Option<String>>) -> impl IntoView {
    let Template { name, title, description } = template;
    let link = address::of(&name);
    let is_open = move || (open.read().as_deref() == Some(name.as_str())).then_some("true");
    let words = (span().class("card-title").child(title), span().class("card-text").child(description));
    li().child(a().class("card").href(link.clone()).aria_current(is_open).on(ev::click, stay(link, open)).child(words))
}

fn key(template: &Template) -> String {
    template.name.clone()
}

/// Another template is another element: a playground is never turned into a different one.
fn playground(open: RwSignal<Option<String>>) -> impl Fn(usize, Template) -> (fn(usize), AnyView) {
    move |_, Template { name, title, .. }| {
        let close = a().class("close").href("/").on(ev::click, stay("/".to_owned(), open)).child("Close");
        let head = div().class("open-head").child((h3().child(title.clone()), close));
        let element = custom("sandglass-playground")
            .attr("sandbox", format!("template-{name}"))
            .attr("template", name)
            .attr("label", title.clone())
            .attr("theme", "auto");
        let view = section().class("open").aria_label(title).child((head, element));
        (|_| {}, view.into_any())
    }
}

/// Follows a link within the page, unless the reader wants a new tab or window.
fn stay(link: String, open: RwSignal<Option<String>>) -> impl FnMut(MouseEvent) {
    move |event| {
        let elsewhere = event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
        if event.button() == 0 && !elsewhere {
            event.prevent_default();
            address::go(&link, open);
        }
    }
}
