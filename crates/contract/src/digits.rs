//! Hex digits, where a signature goes through them: by a table, without a branch for each digit.

/// What no digit stands for.
const NONE: u8 = 0xff;
/// What each character stands for.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let (mut at, digits) = (0, b"0123456789abcdefABCDEF");
    while at < digits.len() {
        values[digits[at] as usize] = if at < 16 { at as u8 } else { at as u8 - 6 };
        at += 1;
    }
    values
};

/// Exactly as many bytes as `bytes` has, of digits in either case. False: it is something else, and `bytes` is not
/// worth anything.
pub fn read_hex(digits: &[u8], bytes: &mut [u8]) -> bool {
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != bytes.len() {
        return false;
    }
    let mut wrong = 0;
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| VALUES[usize::from(digit)]);
        // A digit has no bit of its upper half set.
        wrong |= (high | low) & 0xf0;
        *byte = high << 4 | low;
    }
    wrong == 0
}

/// Appends `0x` and the digits of `bytes`, in lower case.
pub fn push_hex(to: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    to.push_str("0x");
    to.reserve(2 * bytes.len());
    for piece in bytes.chunks(32) {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(piece) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        // ASCII always; a piece at once, because pushing digit by digit costs more than finding them.
        to.push_str(std::str::from_utf8(&digits[..2 * piece.len()]).unwrap_or_default());
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
        for digits in ["", "0", "000", "0000", "0x00"] {
            assert!(!read_hex(digits.as_bytes(), &mut [0]), "{digits}");
        }
        assert!(read_hex(b"", &mut []));
    }

    #[test]
    fn what_is_written_is_what_the_library_for_hex_writes() {
        for length in [0, 1, 31, 32, 33, 96, 300] {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 % 256) as u8).collect();
            let mut text = "before ".to_owned();
            push_hex(&mut text, &bytes);
            assert_eq!(text, format!("before 0x{}", hex::encode(&bytes)));
        }
    }
}
