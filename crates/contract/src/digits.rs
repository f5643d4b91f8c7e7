//! Hex digits, strictly: nothing but digits, and as many as were expected.

/// How many bytes are written at a time.
const PIECE: usize = 96;

/// Exactly as many bytes as `bytes` has, of digits in either case. False: it is something else, and `bytes` is not
/// worth anything.
pub fn read_hex(digits: &[u8], bytes: &mut [u8]) -> bool {
    // The library would also take "0x" before the digits. With the length fixed, there is no room for it.
    digits.len() == 2 * bytes.len() && const_hex::decode_to_slice(digits, bytes).is_ok()
}

/// Appends `0x` and the digits of `bytes`, in lower case.
pub fn push_hex(to: &mut String, bytes: &[u8]) {
    to.push_str("0x");
    to.reserve(2 * bytes.len());
    for piece in bytes.chunks(PIECE) {
        let mut digits = [0; 2 * PIECE];
        // An error would be a length that is not twice the other.
        to.push_str(const_hex::encode_to_str(piece, &mut digits[..2 * piece.len()]).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_characters_is_read_as_the_library_for_hex_reads_it() {
        for high in 0..=u8::MAX {
            for low in 0..=u8::MAX {
                let (mut read, mut expected) = ([0; 1], [0; 1]);
                let is_read = hex::decode_to_slice([high, low], &mut expected).is_ok();
                assert_eq!(read_hex(&[high, low], &mut read), is_read, "{high} {low}");
                assert!(!is_read || read == expected, "{high} {low}");
            }
        }
    }

    #[test]
    fn another_length_is_refused() {
        for digits in ["", "0", "000", "0000", "0x00", "0x", "0X00"] {
            assert!(!read_hex(digits.as_bytes(), &mut [0]), "{digits}");
        }
        assert!(read_hex(b"", &mut []));
        assert!(!read_hex(b"0x", &mut []));
    }

    #[test]
    fn a_prefix_is_no_digits_and_a_wrong_character_is_found_wherever_it_stands() {
        for length in 1..=100 {
            let digits = "a7".repeat(length);
            let mut bytes = vec![0; length];
            assert!(read_hex(digits.as_bytes(), &mut bytes) && bytes.iter().all(|byte| *byte == 0xa7));
            for prefix in ["0x", "0X"] {
                // As long as it should be, and two digits longer.
                for from in [0, 2] {
                    assert!(!read_hex([prefix, &digits[from..]].concat().as_bytes(), &mut bytes), "{length}");
                }
            }
            for at in 0..2 * length {
                for wrong in [b'g', b'G', b'/', b':', b'@', b'`', b' ', b'x', 0, 0x80, 0xff] {
                    let mut digits = digits.clone().into_bytes();
                    digits[at] = wrong;
                    assert!(!read_hex(&digits, &mut bytes), "{wrong} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_what_the_library_for_hex_writes() {
        for length in [0, 1, 31, 32, 33, 95, 96, 97, 192, 300] {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 % 256) as u8).collect();
            let mut text = "before ".to_owned();
            push_hex(&mut text, &bytes);
            assert_eq!(text, format!("before 0x{}", hex::encode(&bytes)));
        }
    }
}
