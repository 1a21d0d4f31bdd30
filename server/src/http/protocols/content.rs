//! What stands where a client puts its picture: the bytes of the file, the same in Base64, or a
//! URL at which the picture is. Base64 is decoded piece by piece as it comes and never held whole.
//! A URL is refused: this site fetches nothing.

use std::borrow::Cow;

use app::error::ErrorCode;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::http::error::Error;

/// Some clients leave the padding out, and some set the bits that stand for nothing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);
/// How many bytes tell what the content is.
const TELLING: usize = 12;
/// The longest head of a `data:` URL, in bytes: `data:image/jpeg;base64,` and the like.
const DATA_HEAD: usize = 256;
/// How files of the kinds that are taken begin in Base64: JPEG, PNG, GIF and WebP. No file of these
/// kinds begins with these letters itself.
const IN_BASE64: [&[u8]; 4] = [b"/9j/", b"iVBORw0KGgo", b"R0lGOD", b"UklGR"];
/// How these files begin themselves.
const AS_BYTES: [&[u8]; 4] = [b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF"];
/// How URLs begin that a client would like to have fetched.
const FETCHED: [&[u8]; 3] = [b"http:", b"https:", b"ftp:"];

/// True for the beginning of a body that is a picture and no form, whatever its type says.
pub(super) fn begins_picture(bytes: &[u8]) -> bool {
    let begins = |beginning: &&[u8]| bytes.starts_with(beginning);
    AS_BYTES.iter().any(begins) || IN_BASE64.iter().any(begins)
}

/// The refusal of a URL.
pub(super) fn by_url() -> Error {
    Error::new(
        ErrorCode::Malformed,
        "This site fetches no pictures from other addresses. Please send the picture itself.",
    )
}

fn broken() -> Error {
    Error::new(
        ErrorCode::Malformed,
        "The picture is not in valid Base64, so it cannot be read. Please send it again.",
    )
}

/// Reads content as it comes.
pub(super) struct Content {
    state: State,
    /// Whether a space stands for a plus sign, as in a form whose client did not escape it.
    spaces_are_plus: bool,
    /// Whether the client says that the content is in Base64.
    declared: bool,
}

enum State {
    /// Too little has come to tell.
    Beginning(Vec<u8>),
    /// The head of a `data:` URL, of which this many bytes have come.
    DataHead(usize),
    Bytes,
    Base64(Base64),
}

impl Content {
    /// `declared` says that the client calls it Base64.
    pub(super) fn new(spaces_are_plus: bool, declared: bool) -> Self {
        Self {
            state: State::Beginning(Vec::new()),
            spaces_are_plus,
            declared,
        }
    }

    /// Reads the next bytes, and gives those of the file that are known by now.
    ///
    /// # Errors
    /// `malformed` for a URL or for broken Base64.
    pub(super) fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
        match &mut self.state {
            State::Beginning(begun) => {
                begun.extend_from_slice(bytes);
                if begun.len() < TELLING {
                    return Ok(Cow::Borrowed(&[]));
                }
                let begun = std::mem::take(begun);
                self.state = State::of(&begun, self.declared)?;
                Ok(Cow::Owned(self.read(&begun)?.into_owned()))
            }
            State::DataHead(seen) => {
                let Some(comma) = bytes.iter().position(|byte| *byte == b',') else {
                    *seen += bytes.len();
                    return if *seen > DATA_HEAD {
                        Err(broken())
                    } else {
                        Ok(Cow::Borrowed(&[]))
                    };
                };
                self.state = State::Base64(Base64::default());
                self.read(&bytes[comma + 1..])
            }
            State::Bytes => Ok(Cow::Borrowed(bytes)),
            State::Base64(base64) => Ok(Cow::Owned(base64.read(bytes, self.spaces_are_plus)?)),
        }
    }

    /// Gives the rest of the file once all of the content has come.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Error> {
        if let State::Beginning(begun) = &mut self.state {
            let begun = std::mem::take(begun);
            self.state = State::of(&begun, self.declared)?;
            let mut file = self.read(&begun)?.into_owned();
            file.extend(self.finish()?);
            return Ok(file);
        }
        match &mut self.state {
            State::Beginning(_) | State::Bytes => Ok(Vec::new()),
            State::DataHead(_) => Err(broken()),
            State::Base64(base64) => base64.finish(),
        }
    }
}

impl State {
    /// What content that begins so is.
    fn of(beginning: &[u8], declared: bool) -> Result<Self, Error> {
        let begins = |word: &[u8]| {
            let begun = beginning.get(..word.len());
            begun.is_some_and(|begun| begun.eq_ignore_ascii_case(word))
        };
        if FETCHED.into_iter().any(begins) {
            return Err(by_url());
        }
        if begins(b"data:") {
            return Ok(Self::DataHead(0));
        }
        let is_base64 = declared || IN_BASE64.iter().any(|word| beginning.starts_with(word));
        Ok(if is_base64 {
            Self::Base64(Base64::default())
        } else {
            Self::Bytes
        })
    }
}

/// Decodes Base64 that comes in pieces, with white space between its letters.
#[derive(Default)]
struct Base64 {
    /// Up to three letters that are no whole group yet.
    letters: Vec<u8>,
    /// Whether padding has come, behind which there is nothing more.
    ended: bool,
}

impl Base64 {
    fn read(&mut self, bytes: &[u8], spaces_are_plus: bool) -> Result<Vec<u8>, Error> {
        self.letters.reserve(bytes.len());
        for byte in bytes {
            match byte {
                b' ' if spaces_are_plus && !self.ended => self.letters.push(b'+'),
                byte if byte.is_ascii_whitespace() => {}
                b'=' => self.ended = true,
                _ if self.ended => return Err(broken()),
                byte => self.letters.push(*byte),
            }
        }
        let whole = self.letters.len() / 4 * 4;
        let rest = self.letters.split_off(whole);
        let groups = std::mem::replace(&mut self.letters, rest);
        BASE64.decode(groups).map_err(|_| broken())
    }

    fn finish(&mut self) -> Result<Vec<u8>, Error> {
        let letters = std::mem::take(&mut self.letters);
        BASE64.decode(letters).map_err(|_| broken())
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD as PADDED;

    use super::*;

    /// The file in this content, which comes in pieces of this many bytes.
    fn file(content: &[u8], piece: usize, spaces_are_plus: bool) -> Result<Vec<u8>, ErrorCode> {
        let mut reader = Content::new(spaces_are_plus, false);
        let mut file = Vec::new();
        for bytes in content.chunks(piece) {
            file.extend_from_slice(&reader.read(bytes).map_err(|error| error.0.code)?);
        }
        file.extend(reader.finish().map_err(|error| error.0.code)?);
        Ok(file)
    }

    /// Files of every length that the groups of Base64 tell apart, which begin as pictures do.
    fn files() -> Vec<Vec<u8>> {
        let beginnings: [&[u8]; 4] = [
            b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"RIFF",
        ];
        let long = |beginning: &[u8], more: u8| {
            let rest = (0..40 + more).map(|number| number.wrapping_mul(83));
            beginning.iter().copied().chain(rest).collect()
        };
        beginnings
            .iter()
            .flat_map(|beginning| (0..3).map(|more| long(beginning, more)))
            .collect()
    }

    #[test]
    fn a_file_is_the_same_however_it_is_written_and_cut() {
        for expected in files() {
            let padded = PADDED.encode(&expected);
            let lines: Vec<String> = padded
                .as_bytes()
                .chunks(19)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
            for content in [
                expected.clone(),
                padded.clone().into_bytes(),
                padded.trim_end_matches('=').as_bytes().to_vec(),
                lines.join("\r\n").into_bytes(),
                format!("data:image/png;base64,{padded}").into_bytes(),
            ] {
                for piece in [1, 2, 3, 5, 11, 1000] {
                    let found = file(&content, piece, false);
                    assert_eq!(found.as_ref(), Ok(&expected), "pieces of {piece}");
                }
            }
            let unescaped = padded.replace('+', " ");
            assert_eq!(file(unescaped.as_bytes(), 7, true), Ok(expected));
        }
    }

    #[test]
    fn a_url_is_refused_and_so_is_broken_base64() {
        for content in [
            "https://example.org/cat.jpg",
            "HTTP://127.0.0.1/",
            "ftp://x/y.png",
            "http:",
            "data:image/png;base64",
            "iVBORw0KGgo!AAAA",
            "iVBORw0KGgo=AAAA",
            &format!("data:{}", "x".repeat(400)),
        ] {
            let found = file(content.as_bytes(), 6, false);
            assert_eq!(found, Err(ErrorCode::Malformed), "{content}");
        }
        // Whatever else it is, it is looked at as a file.
        assert_eq!(file(b"hello", 2, false), Ok(b"hello".to_vec()));
        assert_eq!(file(b"", 1, false), Ok(Vec::new()));
    }
}
