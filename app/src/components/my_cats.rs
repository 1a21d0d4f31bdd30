//! The island that lists the visitor's own cats.

use js_sys::Array;
use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos::wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, HtmlAnchorElement, HtmlElement, HtmlImageElement, HtmlInputElement, Url};

use super::copy_field::{FEEDBACK_MS, copy_text};
use super::countdown::TimeLeft;
use super::dom::{append, find, listen, name_buttons, pressed, set, show, write};
use super::fetch::{Failure, call, delete, sleep};
use super::mine::{self, Mine};
use super::picture_card::CardView;
use crate::api::Status;
use crate::images::{self, Format};

/// The name of the file in which the list is saved.
const FILE_NAME: &str = "my-cats.txt";
/// What the island draws.
const PAGE: &str = "<p class=mine-empty hidden>No cats of yours are here now. \
    <a href=/upload>Upload one</a></p><ol class=mine-list></ol>\
    <p class=mine-said role=status></p><div class=mine-tools>\
    <button type=button class='button is-quiet' data-act=links>Copy all links</button>\
    <button type=button class='button is-quiet' data-act=save>Save the list as a file</button>\
    <label class='button is-quiet mine-load'>Load a saved list\
    <input type=file accept='text/plain,.txt' class=visually-hidden></label>\
    <button type=button class='button is-quiet' data-act=all>Delete all…</button></div>\
    <label class=mine-switch><input type=checkbox> Remember my uploads in this browser</label>";
/// What it draws for each cat.
const CAT: &str = "<li class='mine-cat life'><a class=mine-page>\
    <span class=mine-thumb><img alt=''></span>\
    <span><span class=mine-name></span><span class=mine-time></span></span></a>\
    <button type=button class='button is-quiet' data-act=copy>Copy link</button>\
    <button type=button class='button is-quiet' data-act=delete>Delete</button></li>";

/// Draws the visitor's cats in this place, each with its page, its link and a way to delete it; and
/// what can be done with all of them.
pub(crate) fn start(place: HtmlElement) {
    place.set_inner_html(PAGE);
    draw(&place);
    let (page, on_change) = (place.clone(), place.clone());
    listen(&["click"], move |event| {
        if let Some((act, button, _)) = pressed(&event, ".mine") {
            leptos::task::spawn_local(press(act, button, page.clone()));
        }
    });
    listen(&["change"], move |event| {
        if let Some(input) = event.target().and_then(|target| target.dyn_into().ok()) {
            leptos::task::spawn_local(change(input, on_change.clone()));
        }
    });
    leptos::task::spawn_local(async move {
        complete().await;
        draw(&place);
    });
}

/// Draws what is remembered now, newest first.
fn draw(page: &HtmlElement) {
    let cats = mine::list();
    let Some(list) = find(page, ".mine-list") else {
        return;
    };
    list.set_inner_html("");
    for cat in cats.iter().rev() {
        draw_cat(&list, cat);
    }
    show(page, ".mine-empty", cats.is_empty());
    show(page, "[data-act=links]", cats.len() > 1);
    show(page, "[data-act=all]", cats.len() > 1);
    show(page, "[data-act=save]", !cats.is_empty());
    show(page, ".mine-load", mine::is_on());
    if let Some(switch) = find(page, ".mine-switch input") {
        let switch: HtmlInputElement = switch.unchecked_into();
        switch.set_checked(mine::is_on());
    }
}

fn draw_cat(list: &HtmlElement, cat: &Mine) {
    let row = append(list, CAT);
    let name = if cat.name.is_empty() {
        "A cat"
    } else {
        &cat.name
    };
    set(&row, "data-id", &cat.id);
    write(&row, ".mine-name", name);
    if let Some(link) = find(&row, ".mine-page") {
        set(&link, "href", &["/c/", &cat.id].concat());
    }
    if let Some(image) = find(&row, "img").filter(|_| !cat.image.is_empty()) {
        let image: HtmlImageElement = image.unchecked_into();
        image.set_src(&cat.image);
    }
    name_buttons(&row, name);
    if cat.until.is_empty() {
        write(&row, ".mine-time", "Looking for the cat…");
    } else if let Some(time) = find(&row, ".mine-time") {
        let until = cat.until.clone();
        mount_to(time, || view! { <TimeLeft until/> }).forget();
    }
}

/// Does what a button of the page says.
async fn press(act: String, button: HtmlElement, page: HtmlElement) {
    let row = button.closest("li").ok().flatten();
    let id = row
        .and_then(|row| row.get_attribute("data-id"))
        .unwrap_or_default();
    match act.as_str() {
        "save" => save_file(),
        "links" => {
            let links: Vec<String> = mine::list().iter().map(|cat| page_url(&cat.id)).collect();
            if copy_text(&links.join("\n")).await {
                write(&page, ".mine-said", "All links are on the clipboard.");
            } else {
                write(
                    &page,
                    ".mine-said",
                    "Your browser does not let us copy them.",
                );
            }
        }
        "copy" => {
            if copy_text(&page_url(&id)).await {
                button.set_text_content(Some("Copied"));
                sleep(FEEDBACK_MS).await;
                button.set_text_content(Some("Copy link"));
            }
        }
        "delete" => {
            if let Some(cat) = mine::find(&id) {
                delete_cat(&cat, &page).await;
            }
        }
        _ => delete_all(&page).await,
    }
}

/// Deletes one cat, if the visitor is sure.
async fn delete_cat(cat: &Mine, page: &HtmlElement) {
    let name = if cat.name.is_empty() {
        "The cat"
    } else {
        &cat.name
    };
    if !asks(&["Delete ", name, "? You cannot undo this."].concat()) {
        return;
    }
    if delete(&cat.id, &cat.token).await {
        draw(page);
        write(page, ".mine-said", &[name, " is deleted."].concat());
        // The button that had the focus is gone.
        if let Some(main) = page.closest("main").ok().flatten() {
            // If this fails, the browser goes on at the top of the page.
            let _ = main.unchecked_into::<HtmlElement>().focus();
        }
    } else {
        let words = [name, " could not be deleted. Please try again."].concat();
        write(page, ".mine-said", &words);
    }
}

/// Deletes all cats, if the visitor is sure.
async fn delete_all(page: &HtmlElement) {
    let cats = mine::list();
    let number = cats.len().to_string();
    if !asks(&["Delete all ", &number, " cats? You cannot undo this."].concat()) {
        return;
    }
    let mut left: u32 = 0;
    for cat in cats {
        left += u32::from(!delete(&cat.id, &cat.token).await);
        draw(page);
    }
    let words = if left == 0 {
        "All of your cats are deleted.".to_owned()
    } else {
        [
            &left.to_string(),
            " cats could not be deleted. Please try again.",
        ]
        .concat()
    };
    write(page, ".mine-said", &words);
}

/// Does what a field of the page says.
async fn change(input: HtmlInputElement, page: HtmlElement) {
    match input.type_().as_str() {
        "file" => {
            let number = load_file(&input).await;
            input.set_value("");
            let words = match number {
                0 => "There are no cats in that file that are still here.".to_owned(),
                1 => "1 cat is loaded.".to_owned(),
                number => [&number.to_string(), " cats are loaded."].concat(),
            };
            write(&page, ".mine-said", &words);
        }
        "checkbox" => mine::set_on(input.checked()),
        _ => return,
    }
    draw(&page);
}

/// The address of a cat's page.
fn page_url(id: &str) -> String {
    let origin = location().origin().unwrap_or_default();
    [&origin, "/c/", id].concat()
}

/// Asks the visitor something that can be denied.
fn asks(question: &str) -> bool {
    window().confirm_with_message(question).unwrap_or_default()
}

/// Asks the server what became of those cats whose tab was closed before their verdict.
async fn complete() {
    for mut cat in mine::list() {
        if !cat.until.is_empty() {
            continue;
        }
        match call(Status::PATH, &["id=", &cat.id].concat()).await {
            Ok(answer) => {
                if let Some(picture) = CardView::from_json(&answer.get("published")) {
                    cat.image = images::url(&picture.images, Format::Webp, 320);
                    cat.until = picture.expires_at;
                    mine::remember(cat);
                }
            }
            Err(Failure::Refused(error)) if !error.code.is_passing() => mine::forget(&cat.id),
            // Another time will do.
            Err(Failure::Refused(_) | Failure::Lost | Failure::Stalled) => {}
        }
    }
}

/// Has the browser save the list as a file.
fn save_file() {
    let text = Array::of1(&mine::to_text(&mine::list()).into());
    let blob = Blob::new_with_str_sequence(&text);
    let Ok(url) = blob.and_then(|blob| Url::create_object_url_with_blob(&blob)) else {
        return;
    };
    if let Ok(link) = document().create_element("a") {
        let link: HtmlAnchorElement = link.unchecked_into();
        link.set_href(&url);
        link.set_download(FILE_NAME);
        link.click();
    }
}

/// Remembers the cats of the file that was chosen in this field. Returns how many of them are new
/// and still here.
async fn load_file(input: &HtmlInputElement) -> usize {
    let Some(file) = input.files().and_then(|files| files.item(0)) else {
        return 0;
    };
    let text = JsFuture::from(file.text()).await;
    let text = text.ok().and_then(|text| text.as_string());
    let before = mine::list().len();
    let loaded = mine::parse(&text.unwrap_or_default());
    loaded.into_iter().for_each(mine::remember);
    mine::list().len() - before
}
