use slowleak_detect::{DetectConfig, detect};
use slowleak_record::Registry;
use slowleak_rollup::{Gather, Stored};
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let stored = Stored::open(&dir).unwrap();
    let mut gather = Gather::new();
    stored.gather(&mut gather).unwrap();
    let days = gather.finish(&[]);
    let d = detect(&days, &stored, &Registry::default(), &DetectConfig::default()).unwrap();
    for f in &d.findings {
        println!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:?}\t{}",
            f.detector,
            f.dimension,
            f.entity,
            f.user.clone().unwrap_or_default(),
            f.severity,
            f.start.0,
            f.end.0,
            f.score,
            f.expected_false,
            f.summary
        );
    }
}
