//! Reads `application/x-www-form-urlencoded` as it comes, because a whole picture may stand in one
//! field.

use app::error::ErrorCode;

use crate::http::error::Error;

/// The longest name of a field, in bytes.
const LONGEST_NAME: usize = 256;

/// What comes next in a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A field with this name begins, and the one before it has ended.
    Field(String),
    /// More of the field's value.
    Value(Vec<u8>),
}

/// A form of which some has come.
#[derive(Default)]
pub(super) struct UrlEncoded {
    /// The name that is being read; `None` within a value.
    name: Option<Vec<u8>>,
    begun: bool,
    /// A percent sign and what of its digits has come.
    escape: Vec<u8>,
}

impl UrlEncoded {
    /// Reads the next bytes.
    ///
    /// # Errors
    /// `malformed` for a name that is too long for any field.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Error> {
        if !self.begun {
            self.begun = true;
            self.name = Some(Vec::new());
        }
        let mut pieces = Vec::new();
        let mut value = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if !self.escape.is_empty() {
                self.escape.push(*byte);
                if self.escape.len() < 3 {
                    continue;
                }
                let escape = std::mem::take(&mut self.escape);
                match unescape(&escape) {
                    Some(byte) => self.put(&[byte], &mut value)?,
                    // What is no escape stands for itself.
                    None => self.put(&escape, &mut value)?,
                }
                continue;
            }
            match byte {
                b'%' => self.escape.push(b'%'),
                b'+' => self.put(b" ", &mut value)?,
                b'=' if self.name.is_some() => {
                    let name = self.name.take().unwrap_or_default();
                    let name = String::from_utf8_lossy(&name).into_owned();
                    pieces.push(Piece::Field(name));
                }
                b'&' => {
                    if !value.is_empty() {
                        pieces.push(Piece::Value(std::mem::take(&mut value)));
                    }
                    self.name = Some(Vec::new());
                }
                byte => self.put(&[*byte], &mut value)?,
            }
        }
        if !value.is_empty() {
            pieces.push(Piece::Value(value));
        }
        Ok(pieces)
    }

    fn put(&mut self, bytes: &[u8], value: &mut Vec<u8>) -> Result<(), Error> {
        match &mut self.name {
            None => value.extend_from_slice(bytes),
            Some(name) => {
                name.extend_from_slice(bytes);
                if name.len() > LONGEST_NAME {
                    return Err(Error::new(
                        ErrorCode::Malformed,
                        "The form has a field with a very long name. Please send it in another way.",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The byte that `%` and two digits stand for.
fn unescape(escape: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(escape[1])?, digit(escape[2])?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a form that comes in pieces of this many bytes.
    fn fields(form: &str, piece: usize) -> Vec<(String, String)> {
        let mut reader = UrlEncoded::default();
        let mut fields: Vec<(String, String)> = Vec::new();
        for bytes in form.as_bytes().chunks(piece) {
            for piece in reader.read(bytes).expect("short names") {
                match (piece, fields.last_mut()) {
                    (Piece::Field(name), _) => fields.push((name, String::new())),
                    (Piece::Value(bytes), Some((_, value))) => {
                        value.push_str(&String::from_utf8_lossy(&bytes));
                    }
                    (Piece::Value(_), None) => panic!("a value without a name"),
                }
            }
        }
        fields
    }

    #[test]
    fn a_form_reads_the_same_in_one_piece_and_in_many() {
        let form = "image=iVBO%2Bx%3D&type=base64&title=a+cat&empty=&x%5B%5D=1%zz&y=a=b";
        let expected = [
            ("image", "iVBO+x="),
            ("type", "base64"),
            ("title", "a cat"),
            ("empty", ""),
            ("x[]", "1%zz"),
            ("y", "a=b"),
        ];
        for piece in [1, 2, 3, 7, 1000] {
            let found = fields(form, piece);
            let found: Vec<(&str, &str)> = found
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .collect();
            assert_eq!(found, expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_name_without_an_end_is_refused() {
        let mut reader = UrlEncoded::default();
        assert!(reader.read(&[b'x'; LONGEST_NAME]).is_ok());
        assert!(reader.read(b"x").is_err());
    }
}
