//! What `slowleak nightly` posts.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::nightly::{KNOWN, day_of_log, lines, registry};
use crate::support::slowleak;

/// A server that answers each request with the next status, and hands on what it was sent.
fn server(statuses: Vec<&'static str>) -> (String, mpsc::Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/services/T0/secret", listener.local_addr().unwrap());
    let (send, received) = mpsc::channel();
    thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let body = body(&mut stream);
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            stream.write_all(answer.as_bytes()).unwrap();
            if status.starts_with('2') {
                let _ = send.send(serde_json::from_slice(&body).unwrap());
            }
        }
    });
    (url, received)
}

fn body(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = Vec::new();
    let mut room = [0; 4096];
    loop {
        let read = stream.read(&mut room).unwrap();
        bytes.extend_from_slice(&room[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        assert!(
            head.starts_with("post /services/t0/secret http/1.1")
                && head.contains("content-type: application/json")
        );
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map(|n| n.parse::<usize>().unwrap());
        if bytes.len() - end - 4 >= length.unwrap() {
            return bytes[end + 4..].to_vec();
        }
    }
}

#[test]
fn what_is_new_and_bad_is_posted_once_and_never_lost() {
    let dir = tempfile::tempdir().unwrap();
    (0..42).for_each(|day| day_of_log(dir.path(), day));
    registry(dir.path());
    // Nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let night = |url: &str| {
        let flags = format!(
            "nightly {{}}/logs --state {{}}/state --webhook {url} --webhook-severity info --quiet {KNOWN}"
        );
        slowleak(dir.path(), &flags).exits(0)
    };
    let said = night(&format!("http://{nobody}/services/secret")).says(&[
        "webhook",
        "kept",
        "next night",
        "4 times",
    ]);
    assert!(!said.stderr.contains("secret"), "{}", said.stderr);
    let findings = lines(&dir.path().join("state/out/findings.jsonl"));
    assert!(!findings.is_empty());
    let waiting = |number: usize| {
        let page = fs::read_to_string(dir.path().join("state/out/metrics.prom")).unwrap();
        let line = format!("slowleak_nightly_outbox {number}");
        assert!(page.lines().any(|other| other == line), "{line} is not in {page}");
    };
    waiting(findings.len());
    slowleak(dir.path(), &format!("nightly {{}}/logs --state {{}}/state --quiet {KNOWN}"))
        .exits(0)
        .says(&["wait to be posted", "--webhook"]);
    // A server that is busy at first.
    let (url, received) = server([vec!["503 Busy"], vec!["200 OK"; findings.len()]].concat());
    night(&url);
    let mut posted = Vec::new();
    for _ in 0..findings.len() {
        let message = received.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(message["text"].as_str().unwrap().starts_with('*'), "{message}");
        posted.push(message["finding"]["finding_info"]["uid"].as_str().unwrap().to_owned());
    }
    let mut ids: Vec<String> =
        findings.iter().map(|finding| finding["finding_info"]["uid"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    posted.sort();
    assert_eq!(posted, ids);
    waiting(0);
    // Told once.
    assert_eq!(night(&url).stderr, "");
    // What a receiver refuses does not hold up the others.
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    night(&format!("http://{nobody}/services/secret"));
    let path = dir.path().join("state/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let messages = state["outbox"].as_array_mut().unwrap();
    messages.extend(messages.clone());
    let sent = messages.len() - 1;
    fs::write(&path, state.to_string()).unwrap();
    let (url, received) = server([vec!["413 Too Much"], vec!["200 OK"; sent]].concat());
    night(&url).says(&["413", "not sent again"]);
    waiting(0);
    assert_eq!(received.iter().take(sent).count(), sent);
    slowleak(dir.path(), "nightly {}/logs --state {}/state --webhook ftp://x/y")
        .exits(2)
        .says(&["--webhook"]);
}
