//! Stage 1 in thirty lines: `cargo run --release -p slowleak-rollup --example rollup -- OUT PATH...`
//! counts the default views over a log and writes the store to OUT. Other views: `VIEWS="key@1h:rows user@1d:subjects"`.

use std::time::Instant;

use slowleak_record::{Mapping, discover};
use slowleak_rollup::{View, build, fields};
use slowleak_scan::{Plan, ScanOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: rollup OUT PATH...")?;
    let paths: Vec<String> = arguments.collect();
    let views = match std::env::var("VIEWS") {
        Ok(views) => views.split_whitespace().map(str::parse).collect::<Result<_, _>>()?,
        Err(_) => View::defaults(),
    };

    let start = Instant::now();
    let files = discover(&paths)?;
    let plan = Plan::new(&files, &Mapping::native(), fields(&views), &ScanOptions::default());
    let (rollup, coverage) = build(&plan, &views, &|_rows| ())?;
    let built = start.elapsed().as_secs_f64();
    rollup.write(&out)?;

    for table in &rollup.tables {
        println!(
            "{:<55} {:>9} entities {:>10} cells",
            table.view.to_string(),
            table.entities.len(),
            table.len()
        );
    }
    for rejected in &coverage.rejected_files {
        println!("rejected {}: {}", rejected.path, rejected.reason);
    }
    let rows = coverage.rows.read;
    println!(
        "{rows} records in {built:.2} s ({:.1} M/s), stored after {:.2} s",
        rows as f64 / built / 1e6,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
