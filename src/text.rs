//! Text that is safe to print, whoever wrote it.

/// Text that may come from outside, made harmless: no line breaks, no control bytes, no escape sequences, no
/// more than a kilobyte.
pub fn sanitise(text: &str) -> String {
    sanitise_up_to(text, 1024)
}

/// The same with another bound, in bytes.
pub fn sanitise_up_to(text: &str, longest: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(longest));
    for character in text.chars() {
        if clean.len() >= longest {
            clean.push('…');
            break;
        }
        match character {
            // Also the characters that turn or hide text on a terminal: bidirectional controls and the like.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
            {
                clean.extend(c.escape_unicode());
            }
            c => clean.push(c),
        }
    }
    clean
}

/// An error and its causes, separated by colons, without control characters: some of it may be text that
/// the sidecar chose.
pub fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    sanitise(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_start_a_line_or_an_escape_sequence() {
        let hostile = "ok\nREADY=1\r\x1b[31m\0\u{202e}";
        let clean = sanitise(hostile);
        assert!(!clean.chars().any(char::is_control), "{clean:?}");
        assert!(clean.starts_with("ok\\u{a}READY=1"), "{clean:?}");
    }

    #[test]
    fn a_megabyte_is_cut_to_a_kilobyte() {
        assert!(sanitise(&"é".repeat(1024 * 1024)).len() <= 1024 + 8);
        assert_eq!(sanitise("short"), "short");
    }
}
