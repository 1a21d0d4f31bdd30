//! What is to be made of a picture: in which encodings and up to which widths. Whoever publishes
//! pictures says so; this crate has no list of its own, and knows nothing of the names that the
//! files get.

use super::{aim, shrink};

/// How a file that is made here is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lossy WebP. It plays an animation.
    WebP,
    /// AVIF, smaller than WebP, and slower to make. Only of stills, see [`Output::is_made`].
    Avif,
    /// Progressive JPEG. Of an animation it shows the first frame.
    Jpeg,
}

/// Which pictures get a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    All,
    Stills,
    Animations,
}

/// One file that may be made of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    pub encoding: Encoding,
    /// The file's width in pixels; that of the picture where that is less.
    pub most_width: u32,
    /// Of which pictures it is made.
    pub subject: Subject,
}

/// The greatest width in pixels of a picture that gets no AVIF files. At 1024 pixels they take 22 %
/// less than WebP files of the same score, at 640 little less, and at 320 more.
const NO_AVIF_WIDTH: u32 = 768;

/// The most pixels of an AVIF file: those of a picture from a phone held upright, at 1120 pixels.
/// More take too long, 0.3 s of a processor for each million, and too much memory.
const MOST_AVIF_PIXELS: u64 = 2_235_000;

impl Output {
    /// Whether this file is made of a picture of this size, once it was shrunk and turned upright.
    pub(super) fn is_made(self, animated: bool, (width, height): (u32, u32)) -> bool {
        let is_meant = match self.subject {
            Subject::All => true,
            Subject::Stills => !animated,
            Subject::Animations => animated,
        };
        let is_worth_it = match self.encoding {
            Encoding::WebP | Encoding::Jpeg => true,
            Encoding::Avif => {
                let own = self.width(width);
                let pixels = u64::from(own) * u64::from(shrink::scale(height, own, width));
                !animated && width > NO_AVIF_WIDTH && pixels <= MOST_AVIF_PIXELS
            }
        };
        is_meant && is_worth_it
    }

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

/// One file that is to be made of a still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) encoding: Encoding,
    /// The file's width in pixels.
    pub(super) width: u32,
    /// How many pixels the file has.
    pub(super) pixels: u64,
}

/// Every file that is to be made of a still of this size, those first that take longest, so that
/// two threads end at about the same time.
pub(super) fn tasks(outputs: &[Output], (width, height): (u32, u32)) -> Vec<Task> {
    let steps = steps(outputs, width);
    let tasks = steps.iter().flat_map(|step| {
        let pixels = u64::from(step.width) * u64::from(shrink::scale(height, step.width, width));
        step.encodings.iter().map(move |encoding| Task {
            encoding: *encoding,
            width: step.width,
            pixels,
        })
    });
    let mut tasks: Vec<Task> = tasks.collect();
    tasks.sort_by_key(|task| {
        // How long they take for a pixel, one beside the other.
        let relative = match task.encoding {
            Encoding::Avif => 4,
            Encoding::Jpeg => 2,
            Encoding::WebP => 1,
        };
        std::cmp::Reverse(task.pixels * relative)
    });
    tasks
}

impl Task {
    /// True for a file that is tried for itself (`aim`). One that is narrow and very long has too
    /// many pixels for that.
    pub(super) fn is_tried(&self) -> bool {
        self.encoding == Encoding::WebP
            && self.width <= aim::TRIED_WIDTH
            && self.pixels <= u64::from(aim::TRIAL_PIXELS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::OUTPUTS;
    use super::Encoding::{Avif, Jpeg, WebP};
    use super::*;

    #[test]
    fn avif_is_made_of_stills_that_are_wide_and_not_too_large() {
        let output = |most_width| Output {
            encoding: Avif,
            most_width,
            subject: Subject::All,
        };
        for (most_width, animated, size, expected) in [
            (1440, false, (2048, 1536), true),
            (1440, false, (2048, 2731), false),
            (1120, false, (2048, 3641), true),
            (1024, false, (769, 500), true),
            (1024, false, (768, 500), false),
            (1024, true, (2048, 1536), false),
        ] {
            assert_eq!(
                output(most_width).is_made(animated, size),
                expected,
                "{size:?}"
            );
        }
    }

    #[test]
    fn what_is_tried_for_itself_is_narrow_and_not_too_long() {
        let is_tried = |width, height| {
            let tasks = tasks(&OUTPUTS, (width, height));
            let narrowest = tasks.iter().filter(|task| task.encoding == WebP);
            narrowest.min_by_key(|task| task.width).map(Task::is_tried)
        };
        assert_eq!(is_tried(2048, 1536), Some(true));
        assert_eq!(is_tried(300, 600), Some(true));
        assert_eq!(is_tried(300, 4096), Some(false));
    }

    #[test]
    fn a_file_is_made_of_the_pictures_that_it_is_meant_for() {
        for (subject, still, animation) in [
            (Subject::All, true, true),
            (Subject::Stills, true, false),
            (Subject::Animations, false, true),
        ] {
            let output = Output {
                encoding: Jpeg,
                most_width: 512,
                subject,
            };
            assert_eq!(output.is_made(false, (600, 400)), still);
            assert_eq!(output.is_made(true, (600, 400)), animation);
        }
    }

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
                (1280, vec![Jpeg]),
                (1120, vec![Avif]),
                (768, vec![WebP]),
                (512, vec![WebP]),
                (320, vec![WebP]),
            ]
        );
        assert_eq!(
            steps_of(600),
            [
                (600, vec![WebP, Avif, Jpeg]),
                (512, vec![WebP]),
                (320, vec![WebP])
            ]
        );
        assert_eq!(steps_of(100), [(100, vec![WebP, Avif, Jpeg])]);
        assert_eq!(steps(&[], 100), []);
    }
}
