//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write as _};

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// The kinds of metric that are used.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Text {
    /// Begins a family. Its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the family that was begun.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escape(value));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A family of one sample.
    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_can_end_its_line_or_begin_another_sample() {
        let mut text = Text::default();
        text.family("a", Kind::Gauge, "A.");
        text.sample("a", &[("x", "\"} 1\na 2\\"), ("y", "")], 0.5);
        assert_eq!(text.finish(), "# HELP a A.\n# TYPE a gauge\na{x=\"\\\"} 1\\na 2\\\\\",y=\"\"} 0.5\n");
    }
}
