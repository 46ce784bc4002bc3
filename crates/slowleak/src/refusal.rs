//! What a run refuses before it does anything: results among the logs, and files of others among the results.
//!
//! In: the paths that the user named. Out: nothing, or the first file that is in the way.

use std::path::{Path, PathBuf};

use slowleak_record::InputFile;
use slowleak_report::is_ours;
use slowleak_rollup::Rollup;

use crate::failure::Failure;
use crate::staging::{RESULTS, ROLLUP, entries};

/// Refuses input that lies among the results that a run into `out` would replace.
///
/// # Errors
/// Names the first such file.
pub(crate) fn refuse_overlap(files: &[InputFile], out: &Path) -> Result<(), Failure> {
    let Ok(out) = out.canonicalize() else { return Ok(()) };
    for file in files {
        let Ok(path) = file.path.canonicalize() else { continue };
        if RESULTS.iter().any(|name| path.starts_with(out.join(name))) {
            return Err(Failure::at(
                &file.path,
                "is a result of an earlier run in --out, not a log",
                "choose an --out outside the logs, or name the logs more closely",
            ));
        }
    }
    Ok(())
}

/// Refuses an `out` that lies in (or is) a folder that is scanned: the next run would read the results as
/// logs.
///
/// # Errors
/// Names the folder.
pub(crate) fn refuse_out_among_logs(paths: &[PathBuf], out: &Path) -> Result<(), Failure> {
    let Some(out) = out.ancestors().find_map(|folder| {
        let named = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        named.canonicalize().ok()
    }) else {
        return Ok(());
    };
    let scanned = paths
        .iter()
        .find(|path| path.is_dir() && path.canonicalize().is_ok_and(|folder| out.starts_with(folder)));
    match scanned {
        Some(path) => Err(Failure::at(
            path,
            "--out lies in this folder of logs: the next run would read its results as logs",
            "choose an --out outside the logs",
        )),
        None => Ok(()),
    }
}

/// Refuses an `out` with the findings of a scan: its `coverage.json` speaks of these, and would be replaced.
///
/// # Errors
/// Names them.
pub(crate) fn refuse_other_results(out: &Path) -> Result<(), Failure> {
    let findings = out.join("findings.parquet");
    if findings.symlink_metadata().is_err() {
        return Ok(());
    }
    let cause = "--out holds the results of another command";
    Err(Failure::at(&findings, cause, "choose another --out"))
}

/// Refuses to replace those of the results `replaced` in `out` that no run of this program wrote: a table of
/// that name may be somebody's work.
///
/// # Errors
/// Names the first such file.
pub(crate) fn refuse_foreign_results(out: &Path, replaced: &[&str]) -> Result<(), Failure> {
    for name in replaced {
        let path = out.join(name);
        // Asked of the name itself: a link that leads nowhere is not ours either.
        if path.symlink_metadata().is_err() {
            continue;
        }
        if *name == ROLLUP {
            refuse_foreign_rollup(&path)?;
        } else {
            match is_ours(&path) {
                Ok(true) => {}
                Ok(false) => return Err(foreign(&path)),
                Err(error) => {
                    let cause = format!("would be replaced, and can not be read: {error}");
                    return Err(Failure::at(&path, cause, "move it away, or choose another --out"));
                }
            }
        }
    }
    Ok(())
}

fn foreign(path: &Path) -> Failure {
    let cause = "would be replaced, but slowleak did not write it";
    Failure::at(path, cause, "move it away, or choose another --out")
}

/// A rollup of ours is folders of Parquet files that we wrote, and nothing else.
fn refuse_foreign_rollup(folder: &Path) -> Result<(), Failure> {
    if !folder.is_dir() {
        return Err(foreign(folder));
    }
    for view in entries(folder)? {
        if !view.is_dir() {
            return Err(foreign(&view));
        }
        if let Some(file) = entries(&view)?.iter().find(|file| !Rollup::wrote(file)) {
            return Err(foreign(file));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn results_are_refused_as_input() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            InputFile { path, partitions: Vec::new() }
        };
        let log = file("logs/a.parquet");
        let result = file("rollup/key@1h/part.parquet");
        assert!(refuse_overlap(std::slice::from_ref(&log), dir.path()).is_ok());
        assert!(refuse_overlap(&[log, result], dir.path()).is_err());
    }

    #[test]
    fn what_we_did_not_write_is_not_replaced() {
        for name in ["rollup", "rollup/notes.txt", "rollup/key@1h/part-0.parquet", "findings.csv"] {
            let dir = tempfile::tempdir().unwrap();
            assert!(refuse_foreign_results(dir.path(), &RESULTS).is_ok());
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "mine").unwrap();
            let refused = refuse_foreign_results(dir.path(), &RESULTS).unwrap_err().to_string();
            assert!(refused.starts_with(path.to_str().unwrap()), "{refused}");
            assert!(refuse_foreign_results(dir.path(), &["report.html"]).is_ok());
        }
    }
}
