//! Writes XML, element by element.

use html_escape::{encode_double_quoted_attribute, encode_text};

/// A document under way. Whatever is written into it is escaped here.
pub(crate) struct Xml(String);

impl Xml {
    /// A document of which nothing is written yet.
    pub(crate) fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned())
    }

    /// Begins an element with these attributes.
    pub(crate) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, ">\n");
    }

    /// Ends the element that was begun last and is not yet ended.
    pub(crate) fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push_str(">\n");
    }

    /// Writes an element with nothing in it.
    pub(crate) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, "/>\n");
    }

    /// Writes an element with a text in it.
    pub(crate) fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.tag(name, attributes, ">");
        self.0.push_str(&encode_text(&allowed(text)));
        self.close(name);
    }

    /// The whole document.
    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)], end: &str) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            self.0.push(' ');
            self.0.push_str(attribute);
            self.0.push_str("=\"");
            self.0
                .push_str(&encode_double_quoted_attribute(&allowed(value)));
            self.0.push('"');
        }
        self.0.push_str(end);
    }
}

/// The text without the characters that XML 1.0 cannot hold, not even escaped. A search may have
/// such.
fn allowed(text: &str) -> String {
    let is_allowed = |letter: &char| {
        !letter.is_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}')
            || matches!(letter, '\t' | '\n' | '\r')
    };
    text.chars().filter(is_allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_leaves_its_place() {
        let mut xml = Xml::new();
        xml.open("a", &[("b", "\"><&")]);
        xml.text("c", &[], "</c>&\u{0}\u{8}\u{ffff}ü");
        xml.empty("d", &[]);
        xml.close("a");
        assert_eq!(
            xml.finish(),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a b=\"&quot;&gt;&lt;&amp;\">\n\
             <c>&lt;/c&gt;&amp;ü</c>\n<d/>\n</a>\n"
        );
    }
}
