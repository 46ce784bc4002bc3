//! `findings.csv`: the columns of `findings.parquet` for a spreadsheet. No cell can start a formula.

use slowleak_detect::Finding;
use slowleak_record::Micros;

use crate::escape::csv_cell;

/// How the first line begins, whatever columns a version adds to its end.
pub(crate) const FIRST_COLUMNS: &str = "finding_id,rank,severity,detector,dimension,";

const HEADER: &str = "finding_id,rank,severity,detector,dimension,entity,key,user,metric,start,end,observed,expected,\
                      subjects,score,expected_false,open,summary,cause,taken,sensitivity,suppressed";

/// One line a finding, in order, after a line of column names. Every text cell is quoted; an absent value
/// is an empty cell; times are RFC 3339 in UTC.
pub(crate) fn csv(findings: &[Finding]) -> String {
    let mut out = format!("{HEADER}\r\n");
    for finding in findings {
        let optional = |text: &Option<String>| text.as_deref().map(csv_cell).unwrap_or_default();
        let cells = [
            csv_cell(&finding.id),
            finding.rank.to_string(),
            csv_cell(finding.severity.name()),
            csv_cell(finding.detector.name()),
            csv_cell(&finding.dimension.to_string()),
            csv_cell(&finding.entity),
            optional(&finding.key),
            optional(&finding.user),
            csv_cell(finding.metric.name()),
            time(finding.start),
            time(finding.end),
            number(Some(finding.observed)),
            number(Some(finding.expected)),
            number(finding.subjects),
            number(Some(finding.score)),
            number(finding.expected_false),
            finding.open.to_string(),
            csv_cell(&finding.summary),
            optional(&finding.cause),
            number(Some(finding.taken)),
            number(Some(finding.sensitivity)),
            optional(&finding.suppressed),
        ];
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn time(time: Micros) -> String {
    time.to_string()
}

/// The shortest text that reads back as the same number; a value that is none is empty.
fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| value.to_string()).unwrap_or_default()
}
