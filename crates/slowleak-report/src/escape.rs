//! Makes untrusted text safe to show. Identifiers come from logs that an attacker may write to; nothing in
//! them may move a cursor, reorder a line, start a formula or run as markup. HTML markup is the template
//! engine's part.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether a character is invisible or acts on the text around it: controls, bidirectional overrides,
/// zero-width and format characters, separators of lines, blanks that look like nothing, and what XML does not allow.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Shows hidden characters (controls, escape sequences, newlines, bidirectional and zero-width marks) as
/// `\u{1b}`. Two different texts never look the same: a backslash before a literal `u{` is shown as
/// `\u{5c}`.
///
/// ```
/// use slowleak_report::visible;
/// assert_eq!(visible("plain key"), "plain key");
/// assert_eq!(visible("a\u{1b}[2Jb\u{202e}"), r"a\u{1b}[2Jb\u{202e}");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) && !text.contains("\\u{") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        let imitates = c == '\\' && text[at..].starts_with("\\u{");
        if is_hidden(c) || imitates {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// [`visible`], with the middle left out (`…`) where it would be wider than `width` columns: keys of one
/// maker often share their beginning, so the end matters as much.
pub(crate) fn brief(text: &str, width: usize) -> String {
    let text = visible(text);
    // Marks of no width could be stacked without end.
    if text.width() <= width && text.chars().take(width * 4 + 1).count() <= width * 4 {
        return text.into_owned();
    }
    let room = width.saturating_sub(1);
    let head = take_columns(text.chars(), room.div_ceil(2));
    let tail: String = take_columns(text.chars().rev(), room / 2).chars().rev().collect();
    format!("{head}…{tail}")
}

fn take_columns(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .take(columns * 4)
        .collect()
}

/// A quoted CSV cell. Hidden characters are shown as by [`visible`], and a cell that a spreadsheet would
/// take for a formula gets a leading apostrophe.
pub(crate) fn csv_cell(text: &str) -> String {
    let text = visible(text);
    let formula = text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

/// A label value of the Prometheus text format, without its quotes.
pub(crate) fn prometheus_label(text: &str) -> String {
    visible(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// A word of a POSIX shell command, quoted where it has to be.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    let text = visible(text);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// JSON in which hidden characters are written as `\uXXXX`: the values stay exact, and neither a terminal
/// nor an editor acts on them.
///
/// # Errors
/// The value can not be written as JSON.
pub fn json_text(value: &impl Serialize, pretty: bool) -> Result<String, serde_json::Error> {
    let text = if pretty { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
    // Outside strings JSON has no hidden character but the newlines of the pretty form, and inside
    // strings newlines are already escaped.
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hidden_characters_are_named() {
        for (text, shown) in [
            ("line\nbreak\t\r", r"line\u{a}break\u{9}\u{d}"),
            ("\u{1b}]0;title\u{7}", r"\u{1b}]0;title\u{7}"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("gpj\u{202e}exe.", r"gpj\u{202e}exe."),
            ("zero\u{200b}width", r"zero\u{200b}width"),
            (r"C:\users\u{1b}", r"C:\users\u{5c}u{1b}"),
            ("naïve 名前", "naïve 名前"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn long_text_loses_its_middle() {
        assert_eq!(brief("arn:aws:iam::1:key/AKIA0123456789", 12), "arn:aw…56789");
        assert_eq!(brief("名前名前名前", 6), "名…前");
        assert_eq!(brief("short", 5), "short");
        assert!(brief(&format!("a{}", "\u{301}".repeat(100_000)), 10).len() < 200);
    }

    #[test]
    fn spreadsheets_see_no_formula() {
        assert_eq!(csv_cell("=cmd|'/c calc'!A1"), "\"'=cmd|'/c calc'!A1\"");
        assert_eq!(csv_cell("\t=1+1"), "\"\\u{9}=1+1\"");
        assert_eq!(csv_cell("a\"b,c"), "\"a\"\"b,c\"");
        for start in ["+", "-", "@", "＝"] {
            assert!(csv_cell(start).starts_with("\"'"));
        }
    }

    #[test]
    fn shells_and_labels_are_quoted() {
        assert_eq!(shell_word("a/b.parquet"), "a/b.parquet");
        assert_eq!(shell_word("$(reboot)'"), r"'$(reboot)'\'''");
        assert_eq!(shell_word("-rf"), "'-rf'");
        assert_eq!(prometheus_label("a\"\\\n"), r#"a\"\\\\u{a}"#);
    }

    proptest! {
        #[test]
        fn nothing_hidden_survives_and_texts_stay_different(a in any::<String>(), b in any::<String>()) {
            prop_assert!(!visible(&a).chars().any(is_hidden));
            prop_assert_eq!(a == b, visible(&a) == visible(&b));
            prop_assert!(!csv_cell(&a).chars().any(is_hidden));
        }

        #[test]
        fn json_keeps_its_values(text in any::<String>(), pretty: bool) {
            let json = json_text(&[&text], pretty).unwrap();
            prop_assert!(!json.chars().any(|c| is_hidden(c) && c != '\n'));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), vec![text]);
        }

        #[test]
        fn brief_fits(text in any::<String>(), width in 1..80usize) {
            prop_assert!(brief(&text, width).width() <= width.max(1));
        }
    }
}
