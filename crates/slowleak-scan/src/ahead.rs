//! Reading ahead: the row group that will be opened next is announced to the system while this one is decoded, so that
//! nobody waits for the disk. In: a plan, and the unit that was opened. Out: nothing; this is advice. Where the system
//! takes none, or the bytes are in memory already, all that is lost is a call for each 128 KiB.

use std::fs::File;

use slowleak_record::{Field, FieldSet};

use crate::chunk::Request;
use crate::layout::Role;
use crate::plan::{Plan, Unit};
use crate::source::Source;

/// Announces what comes after `opened`, which is read from `source`; and the first unit itself, which nobody announced.
pub(crate) fn announce(plan: &Plan, opened: &Unit, request: Request, source: &Source) {
    let place = |unit: &Unit| (unit.file, unit.row_group);
    let Ok(position) = plan.units().binary_search_by_key(&place(opened), place) else { return };
    if position == 0 {
        announce_unit(plan, opened, request, source.file());
    }
    // Units are opened in order, whatever the number of threads: the next one is the next that anybody opens.
    let Some(next) = plan.units().get(position + 1) else { return };
    if next.file == opened.file {
        announce_unit(plan, next, request, source.file());
    } else if let Ok(file) = File::open(&plan.files[next.file].path) {
        announce_unit(plan, next, request, &file);
    }
}

fn announce_unit(plan: &Plan, unit: &Unit, request: Request, file: &File) {
    let layout = &plan.files[unit.file].layout;
    let group = layout.metadata().metadata().row_group(unit.row_group);
    for field in fields(request).union(request.identity).iter() {
        let Some(Role::Column { leaf, .. }) = layout.role(field) else { continue };
        let Some(chunk) = group.columns().get(*leaf) else { continue };
        let start = chunk.dictionary_page_offset().unwrap_or(i64::MAX).min(chunk.data_page_offset());
        // A footer may claim anything.
        if let (Ok(start), Ok(length)) = (u64::try_from(start), u64::try_from(chunk.compressed_size())) {
            let end = start.saturating_add(length).min(plan.files[unit.file].stamp.len);
            will_need(file, start, end);
        }
    }
}

/// The fields that are read for `request`.
fn fields(request: Request) -> FieldSet {
    let optional = [
        (Field::Rows, request.rows),
        (Field::Bytes, request.bytes),
        (Field::Status, request.status),
        (Field::Subject, request.subjects || request.blocks),
    ];
    let asked = optional.into_iter().filter_map(|(field, asked)| asked.then_some(field));
    request.ids.iter().chain([Field::Time, Field::Key, Field::User]).chain(asked).collect()
}

/// Asks for the bytes from `start` to `end`.
#[cfg(target_os = "linux")]
fn will_need(file: &File, start: u64, end: u64) {
    use std::os::fd::AsRawFd;
    /// Linux cuts a longer request off at what it reads ahead at once, which is no less than this.
    const STEP: u64 = 128 << 10;
    let mut at = start;
    while at < end {
        let length = STEP.min(end - at);
        if let (Ok(offset), Ok(length)) = (at.try_into(), length.try_into()) {
            // SAFETY: the descriptor is open while `file` is borrowed; the call takes no pointer and changes nothing
            // but what the page cache holds.
            #[expect(unsafe_code, reason = "advice is given through libc")]
            let refused =
                unsafe { libc::posix_fadvise(file.as_raw_fd(), offset, length, libc::POSIX_FADV_WILLNEED) };
            if refused != 0 {
                return;
            }
        }
        at += length;
    }
}

/// Other systems read ahead as they see fit.
#[cfg(not(target_os = "linux"))]
fn will_need(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn advice_is_harmless_whatever_it_says() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 300_000]).unwrap();
        for (start, end) in
            [(0, 300_000), (5, 6), (299_999, 900_000), (9, 9), (9, 2), (u64::MAX - 1, u64::MAX)]
        {
            will_need(&file, start, end);
        }
        assert_eq!(file.metadata().unwrap().len(), 300_000);
    }

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let request =
            Request { ids: [Field::Source].into_iter().collect(), bytes: true, ..Request::default() };
        let read: Vec<Field> = fields(request).iter().collect();
        let want: FieldSet =
            [Field::Time, Field::Key, Field::User, Field::Source, Field::Bytes].into_iter().collect();
        assert_eq!(read, want.iter().collect::<Vec<_>>());
    }
}
