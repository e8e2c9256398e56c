//! The text format in which Prometheus reads metrics (exposition format 0.0.4).
//!
//! A few dozen lines do what is needed here; a metrics crate would bring a registry of its own, and
//! with it a second truth beside the snapshot.

use std::fmt::{Display, Write};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It goes up until the process ends.
    Counter,
}

/// A page of metrics while it is written.
#[derive(Debug, Default)]
pub struct Exposition {
    page: String,
}

impl Exposition {
    /// The media type of a page.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Starts a family: all samples of one name. `help` is one sentence.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { page: self, name }
    }

    /// The page.
    pub fn into_page(self) -> String {
        self.page
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        let _infallible = self.page.write_fmt(text);
    }
}

/// A family that samples are written to.
#[derive(Debug)]
pub struct Family<'p> {
    page: &'p mut Exposition,
    name: &'static str,
}

impl Family<'_> {
    /// Writes one sample. Values of labels must come from a bounded set.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.page.push(format_args!("{}", self.name));
        for (at, (label, text)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            self.page.push(format_args!("{open}{label}=\"{text}\""));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.page.push(format_args!("{close} {value}\n"));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_the_published_form() {
        let mut page = Exposition::default();
        page.family("ncp_leader", Kind::Gauge, "Whether this controller leads.")
            .sample(&[], 1);
        page.family("ncp_requests_total", Kind::Counter, "a\\b\nc")
            .sample(&[("method", "GET"), ("peer", "a\"\\\n")], 7)
            .sample(&[("method", "PUT")], 0.5);
        let want = "# HELP ncp_leader Whether this controller leads.\n# TYPE ncp_leader gauge\nncp_leader 1\n\
            # HELP ncp_requests_total a\\\\b\\nc\n# TYPE ncp_requests_total counter\n\
            ncp_requests_total{method=\"GET\",peer=\"a\\\"\\\\\\n\"} 7\nncp_requests_total{method=\"PUT\"} 0.5\n";
        assert_eq!(page.into_page(), want);
    }
}
