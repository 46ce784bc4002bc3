//! What a report is about: the one argument of every writer in this crate.

use std::path::Path;

use slowleak_detect::{Detection, Finding, Severity};
use slowleak_record::{Micros, RegistryMatch};
use slowleak_scan::Coverage;

/// A finished run, borrowed from whoever made it.
///
/// Everything reaches the written files ([`Run::out`] the page alone); so for the same bytes pass the same
/// values, and no clock or thread count among the settings.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Findings by rank, and what was examined.
    pub detection: &'a Detection,
    /// What was read; `None` where detection ran over a rollup whose making is not known.
    pub coverage: Option<&'a Coverage>,
    /// How much of the key and people registries the log knows; `None` where none were given.
    pub registry: Option<&'a RegistryMatch>,
    /// Heading of the HTML report, for instance `Nightly scan`; empty for the default.
    pub title: &'a str,
    /// Paths that were read, as the user named them; the HTML report lists them.
    pub inputs: &'a [String],
    /// Settings worth recording, as (name, value) in the order to show.
    pub settings: &'a [(String, String)],
    /// The output folder, for the commands that the page and the terminal advise; `None` where nothing was
    /// written.
    pub out: Option<&'a Path>,
}

impl<'a> Run<'a> {
    /// A run with no registries, title, inputs, settings or output folder.
    pub fn new(detection: &'a Detection, coverage: Option<&'a Coverage>) -> Self {
        Self { detection, coverage, registry: None, title: "", inputs: &[], settings: &[], out: None }
    }

    /// End of the data: the last record counted or, where coverage is not known, the latest end of a
    /// finding or of its timeline. It stands in for the clock, which outputs must not depend on.
    pub fn data_end(&self) -> Option<Micros> {
        let scanned = self.coverage.and_then(|coverage| coverage.time).map(|(_, last)| last);
        scanned.or_else(|| self.detection.findings.iter().map(|finding| finding.end).max())
    }

    /// The findings that nobody has answered for.
    pub(crate) fn reported(&self) -> impl Iterator<Item = &'a Finding> + Clone + use<'a> {
        self.detection.findings.iter().filter(|finding| finding.suppressed.is_none())
    }

    /// How many reported findings have each severity, in the order of [`Severity::ALL`].
    pub(crate) fn by_severity(&self) -> [(Severity, usize); 5] {
        Severity::ALL.map(|severity| (severity, self.of_severity(severity).count()))
    }

    fn of_severity(&self, severity: Severity) -> impl Iterator<Item = &'a Finding> {
        self.reported().filter(move |finding| finding.severity == severity)
    }
}
