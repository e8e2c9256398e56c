//! One event, one line, in the shape of RFC 5424 with NSX's structured data.
//!
//! ```text
//! 1 2019-11-12T20:46:09.069Z host NSX 42 - [nsx@6876 comp="nsx-container-ncp" subcomp="ncp" level="INFO"] module text
//! ```
//!
//! The guide's forwarders keep only lines with `nsx-container` (R-LOG-06), and every error line
//! carries a code (R-CODE-01): it is taken from the event's field `code`. A line stays one line
//! whatever is in its fields, so nobody can forge log lines through the name of an app.

use std::fmt::{self, Write};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// "Invalid state": for errors of libraries, which know no codes.
const UNCODED: &str = "NCP00003";

/// Who logs.
#[derive(Debug, Clone)]
pub struct Source {
    component: &'static str,
    part: &'static str,
    host: String,
    pid: u32,
}

impl Source {
    /// The controller, on this machine and in this process.
    pub fn controller() -> Self {
        Self {
            component: "nsx-container-ncp",
            part: "ncp",
            host: host_name(),
            pid: std::process::id(),
        }
    }
}

/// The host's name as its kernel has it; `-` is RFC 5424's word for none.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).collect();
    if name.is_empty() { "-".into() } else { name }
}

/// Writes events as lines.
pub(super) struct Line {
    source: Source,
    now: fn() -> OffsetDateTime,
}

impl Line {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            now: OffsetDateTime::now_utc,
        }
    }

    fn head(&self, level: Level, code: Option<&str>, to: &mut Writer<'_>) -> fmt::Result {
        let Source {
            component,
            part,
            host,
            pid,
        } = &self.source;
        let time = (self.now)().format(TIME).map_err(|_| fmt::Error)?;
        write!(
            to,
            "1 {time} {host} NSX {pid} - [nsx@6876 comp=\"{component}\" subcomp=\"{part}\""
        )?;
        if level == Level::ERROR {
            to.write_str(" security=\"True\"")?;
        }
        write!(to, " level=\"{}\"", word(level))?;
        if let Some(code) = code.or((level == Level::ERROR).then_some(UNCODED)) {
            to.write_str(" errorCode=\"")?;
            for c in code.chars().filter(char::is_ascii_alphanumeric) {
                to.write_char(c)?;
            }
            to.write_char('"')?;
        }
        to.write_str("] ")
    }
}

/// The guide's words; it has none below DEBUG.
fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.head(*event.metadata().level(), fields.code.as_deref(), &mut to)?;
        write!(
            OneLine(&mut to),
            "{} {}{}",
            event.metadata().target(),
            fields.message,
            fields.rest
        )?;
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let held = extensions
                .get::<FormattedFields<N>>()
                .map_or("", |f| f.fields.as_str());
            if !held.is_empty() {
                write!(OneLine(&mut to), " {}{{{held}}}", span.name())?;
            }
        }
        to.write_char('\n')
    }
}

/// Escapes whatever could end the line or steer a terminal.
struct OneLine<'a, W>(&'a mut W);

impl<W: Write> Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() {
                write!(self.0, "{}", c.escape_default())?
            } else {
                self.0.write_char(c)?
            }
        }
        Ok(())
    }
}

/// An event's fields: its message, its code, and the rest as ` name=value`.
#[derive(Default)]
struct Fields {
    message: String,
    code: Option<String>,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Quoted, so that blanks inside can't pass for further fields.
        self.put(field, value, &format_args!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"), value);
    }
}

impl Fields {
    fn put(&mut self, field: &Field, bare: &str, shown: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = bare.to_owned(),
            "code" => self.code = Some(bare.to_owned()),
            name => {
                let _infallible = write!(self.rest, " {name}={shown:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use time::macros::datetime;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` writes, the fixed head of each line cut off.
    fn lines(log: impl FnOnce()) -> Vec<String> {
        let page = Page::default();
        let source = Source {
            component: "nsx-container-ncp",
            part: "ncp",
            host: "h".into(),
            pid: 42,
        };
        let line = Line {
            source,
            now: || datetime!(2019-11-12 20:46:09.069 UTC),
        };
        let to = page.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .event_format(line)
            .with_writer(move || to.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let head =
            "1 2019-11-12T20:46:09.069Z h NSX 42 - [nsx@6876 comp=\"nsx-container-ncp\" subcomp=\"ncp\"";
        text.lines()
            .map(|l| l.strip_prefix(head).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn lines_have_the_published_shape() {
        let got = lines(|| {
            tracing::info!(target: "ncp::m", port = 3, name = "a b", "connected");
            tracing::warn!(target: "ncp::m", code = "NCP00009", "slow");
            tracing::error!(target: "ncp::m", code = %"NCP06001", "lost");
            tracing::error!(target: "lib", "odd");
        });
        assert_eq!(
            got,
            [
                r#" level="INFO"] ncp::m connected port=3 name="a b""#,
                r#" level="WARNING" errorCode="NCP00009"] ncp::m slow"#,
                r#" security="True" level="ERROR" errorCode="NCP06001"] ncp::m lost"#,
                r#" security="True" level="ERROR" errorCode="NCP00003"] lib odd"#,
            ]
        );
    }

    #[test]
    fn fields_of_spans_are_told() {
        let got = lines(|| {
            tracing::info_span!("apply", plan = 7).in_scope(|| tracing::info!(target: "m", "step"));
        });
        assert_eq!(got, [r#" level="INFO"] m step apply{plan=7}"#]);
    }

    #[test]
    fn nobody_forges_a_line() {
        let evil = "app\n1 2019 forged";
        let got = lines(|| tracing::info!(target: "m", app = %evil, code = "N\"] x", "made {evil}"));
        assert_eq!(
            got,
            [r#" level="INFO" errorCode="Nx"] m made app\n1 2019 forged app=app\n1 2019 forged"#]
        );
    }
}
