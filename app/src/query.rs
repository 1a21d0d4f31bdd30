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
    if !query.is_empty() {
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
    fn a_path_segment_holds_no_slash_and_no_plus() {
        assert_eq!(path_segment("maine coon"), "maine%20coon");
        assert_eq!(path_segment("a/b+c?"), "a%2Fb%2Bc%3F");
    }
}
