//! Plain lines on stderr.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;

/// Starts logging to stderr: with colours and times on a terminal, without either where a service manager
/// collects the lines and stamps them itself.
pub fn start(level: LevelFilter) {
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false);
    if std::io::stderr().is_terminal() {
        lines.with_ansi(true).init();
    } else {
        lines.with_ansi(false).without_time().init();
    }
}

/// The most characters of a foreign text that are shown.
const SHOWN: usize = 300;

/// A text from outside, fit for a log line or an error: control characters are escaped, so that it cannot forge
/// a line or drive a terminal, and what is over 300 characters is cut.
#[derive(Debug, Clone, Copy)]
pub struct Foreign<'a>(pub &'a str);

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for (shown, character) in self.0.chars().enumerate() {
            if shown == SHOWN {
                return f.write_str("…");
            }
            // U+2028 and the bidirectional marks are no control characters by class, and do the same harm.
            if character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let forged = "fine\nREADY=1\r\u{1b}[31m\u{202e}\0 é";
        assert_eq!(Foreign(forged).to_string(), "fine\\nREADY=1\\r\\u{1b}[31m\\u{202e}\\u{0} é");
    }

    #[test]
    fn a_long_text_is_cut() {
        let shown = Foreign(&"a".repeat(1 << 20)).to_string();
        assert_eq!(shown.chars().count(), SHOWN + 1);
    }
}
