//! Percent-decoding, a byte at a time.

/// A decoded byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct One {
    pub(super) byte: u8,
    /// Whether it was written as an escape.
    pub(super) is_escaped: bool,
}

/// What was read of an escape.
#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    None,
    Percent,
    Digit(u8),
}

/// Decodes escapes; one that is incomplete stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decoder(Escape);

/// Up to two decoded bytes, and the byte that has to be read again because it ended an escape that is none.
type Read = ([Option<One>; 2], Option<u8>);

impl Decoder {
    pub(super) fn read(&mut self, byte: u8) -> Read {
        let plain = |byte| Some(One { byte, is_escaped: false });
        let digit = |byte: u8| char::from(byte).to_digit(16);
        match (std::mem::take(&mut self.0), byte) {
            (Escape::None, b'%') => self.0 = Escape::Percent,
            (Escape::None, byte) => return ([plain(byte), None], None),
            (Escape::Percent, byte) if digit(byte).is_some() => self.0 = Escape::Digit(byte),
            (Escape::Percent, byte) => return ([plain(b'%'), None], Some(byte)),
            (Escape::Digit(first), byte) => {
                let Some((high, low)) = digit(first).zip(digit(byte)) else {
                    return ([plain(b'%'), plain(first)], Some(byte));
                };
                // Two digits of four bits.
                let byte = u8::try_from(high * 16 + low).unwrap_or_default();
                return ([Some(One { byte, is_escaped: true }), None], None);
            }
        }
        ([None; 2], None)
    }

    /// Bytes of an escape that is not complete.
    pub(super) fn pending(&self) -> usize {
        match self.0 {
            Escape::None => 0,
            Escape::Percent => 1,
            Escape::Digit(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[u8]) {
        let mut decoder = Decoder::default();
        let mut decoded = Vec::new();
        for byte in text.bytes() {
            let mut next = Some(byte);
            while let Some(byte) = next {
                let (ones, again) = decoder.read(byte);
                decoded.extend(ones.into_iter().flatten().map(|one| one.byte));
                next = again;
            }
        }
        assert_eq!(decoded, expect, "{text}");
    }

    #[test]
    fn complete_escapes_are_decoded_and_others_stay() {
        check("a%41%6a%6A.", b"aAjj.");
        check("%%41", b"%A");
        check("%4%41%zz%.", b"%4A%zz%.");
        check("a%", b"a");
        check("a%4", b"a");
    }
}
