//! What a person sees: output that survives a closed pipe, progress on standard error, width and colour.
//!
//! Nothing here reaches a result file.

use std::cell::Cell;
use std::io::{ErrorKind, Write as _};

use anstream::{AutoStream, ColorChoice};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;
use slowleak_report::visible;

use crate::cli::{CommonArgs, Format};
use crate::failure::Failure;

/// Columns assumed where standard output is no terminal.
const DEFAULT_WIDTH: usize = 100;

/// How to talk to the user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Form of what goes to standard output.
    pub(crate) format: Format,
    /// Columns of standard output.
    pub(crate) width: usize,
    /// Whether standard output takes colours.
    pub(crate) color: bool,
    quiet: bool,
}

impl Terminal {
    /// Looks at the flags, the environment and standard output.
    pub(crate) fn new(common: &CommonArgs) -> Self {
        if common.no_color {
            ColorChoice::Never.write_global();
        }
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let measured = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            format: common.format,
            width: columns.or(measured).unwrap_or(DEFAULT_WIDTH).clamp(40, 200),
            color: AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
            quiet: common.quiet,
        }
    }

    /// Prints a text that `--quiet` does without, such as a summary.
    pub(crate) fn summary(&self, text: &str) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { print(text) }
    }

    /// Prints what the command was asked for.
    pub(crate) fn answer(&self, text: &str) -> Result<(), Failure> {
        print(text)
    }

    /// Prints one JSON object, indented.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::Failed(format!("standard output: {error}")))?;
        print(&text)
    }

    /// A progress line on standard error, drawn only where that is a terminal and `--quiet` is absent.
    pub(crate) fn progress(&self, what: &'static str, records: u64) -> Progress {
        if self.quiet {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(records), ProgressDrawTarget::stderr_with_hz(5));
        let template = "{msg} {wide_bar} {percent:>3}%  {rate}  {eta} left ";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        bar.set_message(what);
        Progress(bar)
    }
}

fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let per_second = state.per_sec();
    // A drawing error has nowhere to be told.
    let _ = if per_second >= 1e6 {
        write!(out, "{:.1} M records/s", per_second / 1e6)
    } else {
        write!(out, "{} records/s", HumanCount(per_second as u64))
    };
}

/// A progress line; cleared when dropped, so that an error message starts on a clean line.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// So many more records are done.
    pub(crate) fn add(&self, records: u64) {
        self.0.inc(records);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| {
        let ended = text.ends_with('\n') || text.is_empty();
        if ended { Ok(()) } else { out.write_all(b"\n") }
    });
    match written.and_then(|()| out.flush()) {
        // The reader has seen enough (`slowleak ... | head`); the run itself is complete.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Failed(format!("standard output: {error} (check the disk or the pipe)"))),
        Ok(()) => Ok(()),
    }
}

/// Tells a failure on standard error, as `error: ...`.
pub(crate) fn tell(failure: &Failure) {
    let label = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
    let mut err = anstream::stderr().lock();
    // Standard error may be closed too; then there is nobody left to tell.
    let _ = writeln!(err, "{label}error:{label:#} {}", visible_lines(&failure.to_string()));
}

thread_local! {
    static HUSHED: Cell<bool> = const { Cell::new(false) };
}

/// Does something that may [`warn`] on this thread; where it is `quiet`, none of it is heard: it is said once for many.
pub(crate) fn hushed<T>(quiet: bool, what: impl FnOnce() -> T) -> T {
    let before = HUSHED.replace(quiet);
    let done = what();
    HUSHED.set(before);
    done
}

/// Warns on standard error; `--quiet` does not silence it, for it is about what a result lacks.
pub(crate) fn warn(text: &str) {
    if HUSHED.get() {
        return;
    }
    let label = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Yellow.into()));
    let mut err = anstream::stderr().lock();
    // As above.
    let _ = writeln!(err, "{label}warning:{label:#} {}", visible_lines(text));
}

/// Paths and columns are named by strangers: control characters must not reach the terminal.
fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// `1 file`, `1,234 files`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        let text = visible_lines("a\u{1b}[31mb\u{202e}\nc");
        assert!(!text.contains(['\u{1b}', '\u{202e}']) && text.ends_with("\nc"), "{text}");
    }
}
