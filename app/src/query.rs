//! The query strings of lists, in their one canonical form. Everything that links or redirects to a
//! list builds the query string here, so that pages, islands and caches agree on every byte.

use crate::types::ListQuery;

impl ListQuery {
    /// Writes the parameters that are given in the order `q`, `tag`, `after`, `limit`, for example
    /// `q=orange+cat&after=x`. They are encoded as a browser encodes a form, so that what the
    /// search box asks for is canonical already. Where ids are given they stand alone, and the
    /// commas between them as they are.
    #[must_use]
    pub fn to_query_string(&self) -> String {
        if !self.ids.is_empty() {
            return format!("ids={}", self.ids);
        }
        let mut query = String::new();
        push_pair(&mut query, "q", &self.q);
        push_pair(&mut query, "tag", &self.tag);
        push_pair(&mut query, "after", &self.after);
        if let Some(limit) = self.limit {
            push_pair(&mut query, "limit", &limit.to_string());
        }
        query
    }

    /// The address of the page that shows this list, of which a tag's gallery has its own:
    /// `/search?q=orange+cat`. A list has a tag or a search, not both.
    #[must_use]
    pub fn page_address(&self) -> String {
        match (self.tag.is_empty(), self.q.is_empty()) {
            (false, _) => self.address_at(format!("/tags/{}", path_segment(&self.tag))),
            (true, false) => self.address_at("/search".to_owned()),
            (true, true) => self.address_at("/".to_owned()),
        }
    }

    /// The address of this list as a feed whose name ends with `ending`, which is `xml` for Atom
    /// and `json` for JSON Feed: `/feed.xml?q=orange+cat`.
    #[must_use]
    pub fn feed_address(&self, ending: &str) -> String {
        self.address_at(if self.tag.is_empty() {
            format!("/feed.{ending}")
        } else {
            format!("/tags/{}/feed.{ending}", path_segment(&self.tag))
        })
    }

    /// This path with whatever of the list does not stand in it.
    fn address_at(&self, path: String) -> String {
        let rest = Self {
            tag: String::new(),
            ..self.clone()
        };
        match &*rest.to_query_string() {
            "" => path,
            query => format!("{path}?{query}"),
        }
    }
}

/// The address that tells how to embed what is at this URL, in JSON.
#[must_use]
pub fn embed_address(url: &str) -> String {
    let mut address = "/oembed?".to_owned();
    push_pair(&mut address, "url", url);
    address
}

/// Escapes a text so that it can stand as one segment of a path.
#[must_use]
pub fn path_segment(text: &str) -> String {
    let mut segment = String::new();
    escape(&mut segment, text, "%20");
    segment
}

fn push_pair(query: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if !query.is_empty() && !query.ends_with('?') {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    escape(query, value, "+");
}

/// Appends `text` to `target`. Bytes that the form encoding leaves alone are copied, a space
/// becomes `space`, and every other byte becomes `%XX`.
fn escape(target: &mut String, text: &str, space: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                target.push(byte.into());
            }
            b' ' => target.push_str(space),
            _ => {
                target.push('%');
                target.push(HEX[usize::from(byte >> 4)].into());
                target.push(HEX[usize::from(byte & 15)].into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_in_one_order_and_only_when_given() {
        let query = |q: &str, tag: &str, after: &str, limit| ListQuery {
            q: q.into(),
            tag: tag.into(),
            after: after.into(),
            limit,
            ids: String::new(),
        };
        let cases = [
            (query("", "", "", None), ""),
            (query("cat", "", "", None), "q=cat"),
            (query("", "", "c1_-", None), "after=c1_-"),
            (query("a", "b", "c", Some(40)), "q=a&tag=b&after=c&limit=40"),
            (
                query("\"maine coon\" -dog", "", "", None),
                "q=%22maine+coon%22+-dog",
            ),
            (
                query("söß & 100%", "", "", None),
                "q=s%C3%B6%C3%9F+%26+100%25",
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(query.to_query_string(), expected);
        }
    }

    #[test]
    fn every_list_has_a_page_and_feeds() {
        let list = |q: &str, tag: &str, after: &str| ListQuery {
            q: q.into(),
            tag: tag.into(),
            after: after.into(),
            ..ListQuery::default()
        };
        for (list, page, feed) in [
            (list("", "", ""), "/", "/feed.xml"),
            (list("", "", "7"), "/?after=7", "/feed.xml?after=7"),
            (list("a b", "", ""), "/search?q=a+b", "/feed.xml?q=a+b"),
            (
                list("", "a b", "7"),
                "/tags/a%20b?after=7",
                "/tags/a%20b/feed.xml?after=7",
            ),
        ] {
            assert_eq!(list.page_address(), page);
            assert_eq!(list.feed_address("xml"), feed);
        }
    }

    #[test]
    fn a_path_segment_holds_no_slash_and_no_plus() {
        assert_eq!(path_segment("maine coon"), "maine%20coon");
        assert_eq!(path_segment("a/b+c?"), "a%2Fb%2Bc%3F");
    }
}
