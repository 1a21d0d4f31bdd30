//! What a picture shows, in a word or two.

/// One tag with the model's confidence, from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    pub name: String,
    pub confidence: f32,
}
