//! Putting a body together.

use hyper::body::Bytes;

/// The frames of a body that have arrived. One frame, which is the usual case, is not copied.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    first: Bytes,
    rest: Vec<u8>,
}

impl Whole {
    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        if self.rest.is_empty() { self.first.len() } else { self.rest.len() }
    }

    /// Adds a frame.
    pub(crate) fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            self.rest = std::mem::take(&mut self.first).into();
        }
        self.rest.extend_from_slice(&data);
    }

    /// The body.
    pub(crate) fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_joined_in_order_and_one_frame_is_not_copied() {
        let frame = Bytes::from_static(b"one");
        let mut whole = Whole::default();
        whole.push(Bytes::new());
        whole.push(frame.clone());
        whole.push(Bytes::new());
        assert_eq!(whole.len(), 3);
        assert_eq!(whole.into_bytes().as_ptr(), frame.as_ptr());

        let mut whole = Whole::default();
        for part in ["ab", "c", "", "def"] {
            whole.push(Bytes::from_static(part.as_bytes()));
        }
        assert_eq!(whole.into_bytes(), "abcdef");
    }
}
