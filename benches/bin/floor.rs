//! The floor under any reader of a Parquet file: fetch and decompress the pages of some columns and touch every
//! byte. `floor FILE.parquet COLUMN,COLUMN,... THREADS` prints bytes, sum and seconds.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parquet::column::page::PageReader;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::serialized_reader::SerializedPageReader;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, columns, threads] = arguments.as_slice() else {
        return Err("usage: floor FILE.parquet COLUMN,COLUMN,... THREADS".into());
    };
    let start = Instant::now();
    let wanted: Vec<&str> = columns.split(',').collect();
    let footer = ParquetMetaDataReader::new().parse_and_finish(&File::open(file)?)?;
    let mut units = Vec::new();
    for group in footer.row_groups() {
        let rows = usize::try_from(group.num_rows())?;
        let some =
            group.columns().iter().filter(|column| wanted.contains(&column.column_path().string().as_str()));
        units.extend(some.map(|column| (column, rows)));
    }
    let (next, total, sum) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = || -> Result<(), parquet::errors::ParquetError> {
        // Each thread has its own: copies of one handle share their position.
        let file = Arc::new(File::open(file)?);
        while let Some((column, rows)) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut pages = SerializedPageReader::new(file.clone(), column, *rows, None)?;
            while let Some(page) = pages.get_next_page()? {
                let (words, rest) = page.buffer().as_chunks::<8>();
                let words =
                    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word)));
                let rest: u64 = rest.iter().map(|byte| u64::from(*byte)).sum();
                sum.fetch_add(words.wrapping_add(rest), Ordering::Relaxed);
                total.fetch_add(page.buffer().len() as u64, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.parse::<usize>()?).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    })?;
    println!(
        "{} bytes, sum {:x}, {:.3} s",
        total.into_inner(),
        sum.into_inner(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
