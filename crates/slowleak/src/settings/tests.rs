use super::*;
use clap::Parser;

fn settings(flags: &[&str]) -> Result<Settings, String> {
    let cli = Cli::try_parse_from([&["slowleak"], flags].concat()).map_err(|error| error.to_string())?;
    Settings::new(cli).map_err(|failure| failure.to_string())
}

fn scan_views(flags: &[&str]) -> Vec<String> {
    let flags = [&["scan", "logs", "--out", "out"], flags].concat();
    let Job::Scan(scan) = settings(&flags).unwrap().job else { panic!("not a scan") };
    scan.counting.views.iter().map(ToString::to_string).collect()
}

#[test]
fn window_replaces_the_hour_of_the_default_views_only() {
    let views = scan_views(&["--window", "15m"]);
    assert!(views.iter().any(|view| view.starts_with("key@15m:")));
    assert!(views.iter().any(|view| view.starts_with("key@1d:")));
    assert!(!views.iter().any(|view| view.contains("@1h:")));
}

#[test]
fn views_can_be_added_to_the_default_ones() {
    let (usual, more) = (scan_views(&[]), scan_views(&["--also-view", "key@10m:events"]));
    assert!(more.contains(&"key@10m:events".to_owned()) && more.len() == usual.len() + 1);
    assert!(usual.iter().all(|view| more.contains(view)));
}

#[test]
fn views_of_one_folder_become_one() {
    assert_eq!(
        scan_views(&["--view", "key@1h:rows", "--view", "key@1h:bytes"]),
        ["key@1h:events,rows,bytes"]
    );
    let days = scan_views(&["--window", "1d"]);
    assert_eq!(days.iter().filter(|view| view.starts_with("key@1d:")).count(), 1);
    assert!(
        days.iter().any(|view| view.starts_with("key@1d:events,rows") && view.ends_with("subjects,blocks"))
    );
}

#[test]
fn an_empty_time_range_is_refused() {
    for until in ["2025-06-24", "2025-06-24T00:00:01Z"] {
        let error = settings(&["inspect", "x", "--since", "2025-06-25", "--until", until]).unwrap_err();
        assert!(error.contains("--since") && error.contains("--until"), "{error}");
    }
}

#[test]
fn flags_win_over_the_config_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "fail_on = \"low\"\nthreads = 3\nwindow = \"2h\"\n").unwrap();
    let config = path.to_str().unwrap();
    let base = ["scan", "logs", "--out", "out", "--config", config];
    let Settings { threads, job: Job::Scan(scan), .. } = settings(&base).unwrap() else {
        panic!("not a scan")
    };
    assert_eq!((threads, scan.judging.fail_on), (Some(3), Some(Severity::Low)));
    assert!(scan.counting.views.iter().any(|view| view.folder() == "key@2h"));
    let flags = [&base[..], &["--fail-on", "high", "--threads", "1", "--window", "3h"]].concat();
    let Settings { threads, job: Job::Scan(scan), .. } = settings(&flags).unwrap() else {
        panic!("not a scan")
    };
    assert_eq!((threads, scan.judging.fail_on), (Some(1), Some(Severity::High)));
    assert!(scan.counting.views.iter().any(|view| view.folder() == "key@3h"));
}

#[test]
fn a_run_takes_no_more_threads_than_its_memory_serves() {
    let run = |command: &str, memory: &str, threads: &str| {
        let flags = [command, "logs", "--out", "out", "--memory", memory, "--threads", threads];
        let Settings { threads, fewer, .. } = settings(&flags).unwrap();
        (threads, fewer.unwrap_or_default())
    };
    assert_eq!(run("scan", "2GiB", "16"), (Some(16), String::new()));
    assert_eq!(run("rollup", "128MiB", "2"), (Some(2), String::new()));
    for command in ["scan", "rollup"] {
        let (threads, fewer) = run(command, "128MiB", "16");
        assert!(threads < Some(16), "{threads:?}");
        // The remedy is one.
        let enough = fewer.split("(give ").nth(1).and_then(|rest| rest.split(" for").next()).unwrap();
        assert!(fewer.contains("of 16 threads"), "{fewer}");
        assert_eq!(run(command, &enough.replace(' ', ""), "16"), (Some(16), String::new()));
    }
    let Settings { threads, .. } =
        settings(&["detect", "rollup", "--out", "out", "--threads", "99"]).unwrap();
    assert_eq!(threads, Some(99));
}

#[test]
fn unknown_presets_are_usage_errors() {
    assert!(settings(&["inspect", "x", "--preset", "nope"]).unwrap_err().contains("nope"));
}
