//! Writes a made-up run into the folder named first, and prints it as a terminal would show it.

#[path = "../tests/specimen/mod.rs"]
mod specimen;

use std::path::PathBuf;

use slowleak_report::{Run, explain, read_findings, summary, write_outputs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out: PathBuf = arguments.next().ok_or("name a folder to write to")?.into();
    let width = arguments.next().map_or(Ok(100), |width| width.parse())?;
    let color = arguments.next().is_some();
    let (detection, coverage) = (specimen::detection(), specimen::coverage());
    let inputs = ["logs/2025".to_owned(), "logs/late arrivals".to_owned()];
    let settings = [("window".to_owned(), "1h".to_owned()), ("preset".to_owned(), "native".to_owned())];
    let run = Run {
        inputs: &inputs,
        settings: &settings,
        out: Some(&out),
        ..Run::new(&detection, Some(&coverage))
    };
    write_outputs(&out, &run)?;
    println!("{}", summary(&run, width, color));
    for finding in read_findings(&out)?.iter().take(2) {
        println!("{}\n{}", "=".repeat(width), explain(finding, width, color));
    }
    Ok(())
}
