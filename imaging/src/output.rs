//! What is to be made of a picture: in which encodings and up to which widths. Whoever publishes
//! pictures says so; this crate has no list of its own, and knows nothing of the names that the
//! files get.

/// How a file that is made here is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lossy WebP. It plays an animation.
    WebP,
    /// Progressive JPEG. Of an animation it shows the first frame.
    Jpeg,
}

/// One file that is made of every picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    pub encoding: Encoding,
    /// The file's width in pixels; that of the picture where that is less.
    pub most_width: u32,
}

impl Output {
    /// The width in pixels that this file has when it is made of a picture of `width`.
    pub(super) fn width(self, width: u32) -> u32 {
        self.most_width.min(width)
    }
}

/// A width that at least one file of a picture has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The width in pixels.
    pub(super) width: u32,
    /// Each encoding that is wanted at this width, once; at least one.
    pub(super) encodings: Vec<Encoding>,
}

/// Every width that these files have when they are made of a picture of `width`, widest first.
/// Files of the same width and encoding are one.
pub(super) fn steps(outputs: &[Output], width: u32) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for output in outputs {
        let (encoding, width) = (output.encoding, output.width(width));
        match steps.iter_mut().find(|step| step.width == width) {
            Some(step) if step.encodings.contains(&encoding) => {}
            Some(step) => step.encodings.push(encoding),
            None => steps.push(Step {
                width,
                encodings: vec![encoding],
            }),
        }
    }
    steps.sort_by_key(|step| std::cmp::Reverse(step.width));
    steps
}

#[cfg(test)]
mod tests {
    use super::super::samples::OUTPUTS;
    use super::Encoding::{Jpeg, WebP};
    use super::*;

    fn steps_of(width: u32) -> Vec<(u32, Vec<Encoding>)> {
        let steps = steps(&OUTPUTS, width);
        steps
            .into_iter()
            .map(|step| (step.width, step.encodings))
            .collect()
    }

    #[test]
    fn each_width_comes_once_with_all_its_encodings_and_none_is_enlarged() {
        assert_eq!(
            steps_of(4000),
            [
                (2048, vec![WebP]),
                (1280, vec![WebP, Jpeg]),
                (640, vec![WebP]),
                (320, vec![WebP]),
            ]
        );
        assert_eq!(
            steps_of(1000),
            [
                (1000, vec![WebP, Jpeg]),
                (640, vec![WebP]),
                (320, vec![WebP])
            ]
        );
        assert_eq!(steps_of(100), [(100, vec![WebP, Jpeg])]);
        assert_eq!(steps(&[], 100), []);
    }
}
