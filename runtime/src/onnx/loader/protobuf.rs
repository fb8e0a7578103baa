//! The fields of an `.onnx` file, for what must be known of a model before ONNX Runtime reads it.
//!
//! A message is a row of fields, each a number and a content. See
//! <https://protobuf.dev/programming-guides/encoding/>.

/// Numbers and contents of the fields of a message, up to its end or to what is no field; a number has no content here.
///
/// Groups, which no `.onnx` file has, are passed over as ONNX Runtime does: what is in one is read as if it were beside.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => self.varint().map(|_| [].as_slice())?,
            1 => self.take(8).map(|_| [].as_slice())?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)?
            }
            // The begin and the end of a group.
            3 | 4 => &[],
            5 => self.take(4).map(|_| [].as_slice())?,
            _ => return None,
        };
        Some((tag >> 3, content))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Seven bits a byte, the lowest first; the last byte has the eighth unset.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
