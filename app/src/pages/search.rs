//! The page of a search: what was found, or what there is instead, or how to search if nothing was
//! asked for.

use leptos::prelude::*;

use super::chips::Chips;
use super::gallery::{EmptyGallery, FullGallery};
use super::head::{FeedLinks, Head};
use super::load::{load, query_param, when_loaded};
use super::notice::ErrorNotice;
use crate::types::{ListQuery, PicturePage, TagCount};

/// How many tags are offered where nothing was found.
const MOST_OFFERED: usize = 12;

/// What a search has found, or what there is instead.
enum Found {
    Pictures(PicturePage),
    /// No picture, so these tags and the newest pictures are shown.
    Nothing(Vec<TagCount>, PicturePage),
    /// No picture behind this place in the list.
    End,
}

#[component]
pub(crate) fn SearchPage() -> impl IntoView {
    let query = ListQuery {
        q: query_param("q"),
        after: query_param("after"),
        ..ListQuery::default()
    };
    let words = query.q.clone();
    if words.is_empty() {
        return view! { <SearchHelp/> }.into_any();
    }
    let title = if query.after.is_empty() {
        format!("Search: {words}")
    } else {
        format!("Search: {words}, before no. {}", query.after)
    };
    view! {
        <FeedLinks list=query.clone()/>
        <Head
            title=title
            description=format!("Cat pictures tagged {words}.")
            path=query.page_address()
        />
        <h1 class="section-title">"Cats with " <q>{words}</q></h1>
        <Results query/>
    }
    .into_any()
}

#[component]
fn Results(query: ListQuery) -> impl IntoView {
    let asked = query.clone();
    let found = load(|backend| async move {
        let page = backend.list_pictures(asked.clone()).await?;
        if !page.pictures.is_empty() {
            return Ok(Found::Pictures(page));
        }
        if !asked.after.is_empty() {
            return Ok(Found::End);
        }
        let nearest = backend.nearest_tags(&asked.q, MOST_OFFERED).await?;
        let newest = backend.list_pictures(ListQuery::default()).await?;
        // They are here to be looked at; what comes after them belongs to the gallery.
        let newest = PicturePage {
            next: None,
            previous: None,
            ..newest
        };
        Ok(Found::Nothing(nearest.tags, newest))
    });
    when_loaded(found, move |found| match found {
        Ok(Found::Pictures(page)) => view! { <FullGallery page query/> }.into_any(),
        Ok(Found::Nothing(nearest, newest)) => view! { <NothingFound nearest newest/> }.into_any(),
        Ok(Found::End) => view! { <EmptyGallery words="There are no more of them."/> }.into_any(),
        Err(error) => view! { <ErrorNotice error/> }.into_any(),
    })
}

/// What there is where a search has found nothing.
#[component]
fn NothingFound(nearest: Vec<TagCount>, newest: PicturePage) -> impl IntoView {
    let nearest = (!nearest.is_empty()).then(|| {
        view! {
            <h2 class="section-title">"Tags that there are"</h2>
            <Chips tags=nearest class="tags" label="Tags that there are"/>
        }
    });
    let newest = (!newest.pictures.is_empty()).then(|| {
        view! {
            <h2 class="section-title">"Just in"</h2>
            <FullGallery page=newest query=ListQuery::default()/>
        }
    });
    view! {
        <EmptyGallery words="No cat matches that today. Try fewer words, or another tag."/>
        {nearest}
        {newest}
    }
}

/// How to search, with examples that find something.
#[component]
fn SearchHelp() -> impl IntoView {
    let examples = load(|backend| async move {
        let tags = backend.frequent_tags(2).await?;
        let mut examples = Vec::new();
        for example in examples_of(&tags.tags) {
            let asked = ListQuery {
                limit: Some(1),
                ..search_for(&example.q)
            };
            if !backend.list_pictures(asked).await?.pictures.is_empty() {
                examples.push(example);
            }
        }
        Ok(examples)
    });
    view! {
        <Head title="Search" description="Search cat pictures by tag." path="/search"/>
        <div class="prose">
            <h1>"Search"</h1>
            <p>
                "Pictures have tags for the cat's coat and for the things around it, where the \
                models are sure of them. Type some of them into the box above."
            </p>
            {when_loaded(examples, |examples| {
                // Where the index cannot be asked, the words help without examples, and the page's
                // status says that nobody shall keep it.
                let examples = examples.unwrap_or_default();
                (!examples.is_empty()).then(|| view! { <Examples examples/> })
            })}
            <p>
                "Plurals and other words for the same thing work as well: "
                <code>"couches"</code>" means the tag sofa, and "<code>"orange"</code>
                " means ginger. Many pictures have no tag but cat."
            </p>
            <p>"Or look at "<a href="/tags">"all tags"</a>" that there are today."</p>
        </div>
    }
}

/// A search, with what it finds.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    q: String,
    meaning: &'static str,
}

/// Examples made of the first two of these tags.
fn examples_of(tags: &[TagCount]) -> Vec<Example> {
    let example = |q: String, meaning| Example { q, meaning };
    let quoted = |tag: &TagCount| {
        if tag.name.contains(' ') {
            format!("\"{}\"", tag.name)
        } else {
            tag.name.clone()
        }
    };
    let meaning = |tag: &TagCount| {
        if tag.name.contains(' ') {
            " finds these words next to each other."
        } else {
            " finds this word."
        }
    };
    match tags {
        [] => Vec::new(),
        [only] => vec![example(quoted(only), meaning(only))],
        [first, second, ..] => {
            let (one, other) = (quoted(first), quoted(second));
            vec![
                example(one.clone(), meaning(first)),
                example(format!("{one} {other}"), " finds cats with both."),
                example(
                    format!("{one} -{other}"),
                    " finds the first, but not with the second.",
                ),
            ]
        }
    }
}

/// The list of a search.
fn search_for(q: &str) -> ListQuery {
    ListQuery {
        q: q.to_owned(),
        ..ListQuery::default()
    }
}

#[component]
fn Examples(examples: Vec<Example>) -> impl IntoView {
    let rows = examples
        .into_iter()
        .map(|Example { q, meaning }| {
            let href = search_for(&q).page_address();
            view! { <li><a href=href><code>{q}</code></a>{meaning}</li> }
        })
        .collect::<Vec<_>>();
    view! { <ul>{rows}</ul> }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn examples_are_made_of_tags_that_there_are() {
        let tag = |name: &str| TagCount {
            name: name.to_owned(),
            count: 1,
        };
        let searches = |names: &[&str]| {
            let tags: Vec<_> = names.iter().map(|name| tag(name)).collect();
            let examples = examples_of(&tags).into_iter();
            examples.map(|example| example.q).collect::<Vec<_>>()
        };
        assert!(searches(&[]).is_empty());
        assert_eq!(searches(&["sofa"]), ["sofa"]);
        assert_eq!(
            searches(&["tabby cat", "sofa", "bed"]),
            ["\"tabby cat\"", "\"tabby cat\" sofa", "\"tabby cat\" -sofa"]
        );
    }
}
