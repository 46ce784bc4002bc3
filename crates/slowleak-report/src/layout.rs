//! Terminal text: word wrap by display width, headings, colours.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use slowleak_detect::Severity;
use unicode_width::UnicodeWidthStr;

/// The narrowest terminal that is laid out for; below it lines run over.
const NARROWEST: usize = 40;

/// Text that grows by lines which fit a width.
pub(crate) struct Sheet {
    text: String,
    width: usize,
    color: bool,
}

impl Sheet {
    pub(crate) fn new(width: usize, color: bool) -> Self {
        Self { text: String::new(), width: width.max(NARROWEST), color }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// `text` in colours, where colours are wanted.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A line as it is, however long: for commands that are to be copied.
    pub(crate) fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    /// A line in bold.
    pub(crate) fn heading(&mut self, text: &str) {
        let text = self.paint(BOLD, text);
        self.line(0, &text);
    }

    /// A paragraph, each line indented by `indent` columns and the first led by `lead`, which stands to
    /// the left of the text when it has a width.
    pub(crate) fn paragraph(&mut self, indent: usize, lead: &str, text: &str) {
        self.styled(indent, lead, Style::new(), text);
    }

    /// A paragraph that steps back behind the rest.
    pub(crate) fn note(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.width.saturating_sub(indent).max(20)) {
            let line = self.paint(DIM, &line);
            self.line(indent, &line);
        }
    }

    /// [`Sheet::paragraph`] with a style for the lead.
    pub(crate) fn styled(&mut self, indent: usize, lead: &str, style: Style, text: &str) {
        let hang = indent + lead.width();
        let lines = wrap(text, self.width.saturating_sub(hang).max(20));
        for (index, line) in lines.iter().enumerate() {
            if index == 0 {
                let lead = self.paint(style, lead);
                let _ = writeln!(self.text, "{:indent$}{lead}{line}", "");
            } else {
                let _ = writeln!(self.text, "{:hang$}{line}", "");
            }
        }
    }

    /// A table without lines; columns named in `right` are aligned to the right. `style` may colour a
    /// finished line.
    pub(crate) fn table(
        &mut self,
        indent: usize,
        header: &[&str],
        right: &[usize],
        rows: &[Vec<String>],
        style: impl Fn(&str) -> Option<Style>,
    ) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(self.width.saturating_sub(indent)).unwrap_or(u16::MAX));
        table.set_header(header.iter().map(Cell::new));
        for row in rows {
            table.add_row(row.iter().map(Cell::new));
        }
        for index in right {
            if let Some(column) = table.column_mut(*index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for (index, line) in table.lines().enumerate() {
            let line = line.trim_end();
            let style = if index == 0 { Some(DIM) } else { style(line) };
            let line = style.map_or(line.to_owned(), |style| self.paint(style, line));
            self.line(indent, &line);
        }
    }
}

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

/// The colour of a severity.
pub(crate) fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low => AnsiColor::Cyan.on_default(),
        Severity::Info => DIM,
    }
}

/// Breaks `text` into lines of at most `width` columns, at spaces where it can.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_ascii_whitespace() {
        let mut word = word;
        loop {
            let line = lines.last().map_or(0, |line| line.width());
            let space = usize::from(line > 0);
            if line + space + word.width() <= width {
                if let Some(last) = lines.last_mut() {
                    last.push_str(if space == 1 { " " } else { "" });
                    last.push_str(word);
                }
                break;
            }
            if line > 0 {
                lines.push(String::new());
                continue;
            }
            // A word wider than a line is cut where the line ends.
            let mut cut = 0;
            for (at, c) in word.char_indices() {
                let end = at + c.len_utf8();
                if cut > 0 && word[..end].width() > width {
                    break;
                }
                cut = end;
            }
            if let Some(last) = lines.last_mut() {
                last.push_str(&word[..cut]);
            }
            word = &word[cut..];
            if word.is_empty() {
                break;
            }
            lines.push(String::new());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paragraphs_hang_under_their_lead() {
        let mut sheet = Sheet::new(40, false);
        sheet.paragraph(2, "1. ", "one two three four five six seven eight nine ten");
        assert_eq!(sheet.finish(), "  1. one two three four five six seven\n     eight nine ten\n");
    }

    proptest! {
        #[test]
        fn lines_fit_and_keep_every_character(text in "[a-z名 ]{0,200}", width in 4..60usize) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.width() <= width));
            let all = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(all(&lines.concat()), all(&text));
        }
    }
}
