//! Memory maps that outlive their file's end. In: an open file. Out: its bytes, without a copy.
//!
//! A page of a map that lies past the end of its file, because somebody truncated it meanwhile, raises SIGBUS when it
//! is touched, which ends the program. Here it reads as zeros instead: whoever reads must ask afterwards whether the
//! file is still what it was, and then forget what was read. A SIGBUS that somebody sent does what it did before.

use std::fs::File;
use std::io;

use bytes::Bytes;

/// Maps a whole file.
///
/// # Safety
/// While the returned bytes live, no process may write into the file: the bytes behind a shared slice would change,
/// which the language forbids. Log files are written once and then left alone; the size and the time of a
/// file are compared before and after each row group, so that a writer is told of, though after the fact. A file that
/// is shortened is safe on Unix, see the module; elsewhere the system refuses to shorten a mapped file.
#[expect(unsafe_code, reason = "memory maps can not be made safe; the contract is stated")]
pub(crate) unsafe fn map_file(file: &File) -> io::Result<Bytes> {
    // SAFETY: forwarded to the caller.
    let map = unsafe { memmap2::Mmap::map(file)? };
    #[cfg(unix)]
    let map = guard::Guarded::new(map)?;
    Ok(Bytes::from_owner(map))
}

#[cfg(unix)]
mod guard {
    use std::io;
    use std::ptr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use memmap2::Mmap;

    /// Maps that can be open at once: several a worker.
    const PLACES: usize = 4096;

    /// Where maps begin and end; 0 and 0 for none. A signal handler may read atomics, but take no lock.
    static MAPS: [(AtomicUsize, AtomicUsize); PLACES] =
        [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; PLACES];

    struct Before {
        action: libc::sigaction,
        page: usize,
    }

    /// The handler that was there before ours.
    static BEFORE: OnceLock<Result<Before, i32>> = OnceLock::new();

    /// A map that the handler knows of.
    pub(super) struct Guarded {
        map: Mmap,
        place: usize,
    }

    impl Guarded {
        pub(super) fn new(map: Mmap) -> io::Result<Self> {
            if let Err(code) = BEFORE.get_or_init(install) {
                return Err(io::Error::from_raw_os_error(*code));
            }
            let start = map.as_ptr() as usize;
            for (place, (begin, end)) in MAPS.iter().enumerate() {
                if begin.compare_exchange(0, start, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    end.store(start + map.len(), Ordering::Release);
                    return Ok(Self { map, place });
                }
            }
            Err(io::Error::other("more than 4096 files are mapped at once; choose --io read"))
        }
    }

    impl Drop for Guarded {
        fn drop(&mut self) {
            let (begin, end) = &MAPS[self.place];
            end.store(0, Ordering::Release);
            begin.store(0, Ordering::Release);
        }
    }

    impl AsRef<[u8]> for Guarded {
        fn as_ref(&self) -> &[u8] {
            &self.map
        }
    }

    #[expect(unsafe_code, reason = "signals are handled through libc")]
    fn install() -> Result<Before, i32> {
        let failed = || io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
        // SAFETY: both structures are plain data for which zeros are valid, and they outlive the calls. The handler
        // does only what a handler may: read atomics and initialised statics, and make system calls.
        unsafe {
            let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).map_err(|_| libc::EINVAL)?;
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGBUS, ptr::null(), &mut before) != 0 {
                return Err(failed());
            }
            let mut ours: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = past_the_end;
            ours.sa_sigaction = handler as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            if libc::sigaction(libc::SIGBUS, &ours, ptr::null_mut()) != 0 {
                return Err(failed());
            }
            Ok(Before { action: before, page })
        }
    }

    /// Puts zeros where a map has lost its file; any other fault, and what another process or this one has sent, goes to
    /// whoever handled it before.
    #[expect(unsafe_code, reason = "signals are handled through libc")]
    extern "C" fn past_the_end(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let before = BEFORE.get().and_then(|before| before.as_ref().ok());
        // SAFETY: the system passes a valid `info` to a handler with SA_SIGINFO.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
        // A sent signal has its sender where a fault has its address. Its code is not positive on Linux, above 0x1_0000
        // on the BSDs.
        let sent = !(1..0x1_0000).contains(&code);
        let holds = |&(begin, end): &(usize, usize)| begin <= address && address < end;
        let maps =
            MAPS.iter().map(|(begin, end)| (begin.load(Ordering::Acquire), end.load(Ordering::Acquire)));
        if let (false, Some((_, end)), Some(before)) = (sent, maps.into_iter().find(holds), before) {
            let start = address / before.page * before.page;
            // SAFETY: the pages from `start` to `end` belong to a map of ours that is open, since somebody touched
            // it; they are replaced as a whole, so that no other mapping is hit.
            let zeros = unsafe {
                libc::mmap(
                    start as *mut libc::c_void,
                    end - start,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            if zeros != libc::MAP_FAILED {
                return;
            }
        }
        let action = before.map_or(libc::SIG_DFL, |before| before.action.sa_sigaction);
        let takes_info = before.is_some_and(|before| before.action.sa_flags & libc::SA_SIGINFO != 0);
        // SAFETY: `action` is what the system gave as the handler before, called in the form that its flags
        // tell; or the default is put back, and the fault repeats when we return. All calls are allowed in a handler.
        unsafe {
            if sent && action == libc::SIG_IGN {
                return;
            }
            if action == libc::SIG_DFL || action == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_DFL);
            } else if takes_info {
                let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(action);
                handler(signal, info, context);
            } else {
                let handler: extern "C" fn(i32) = std::mem::transmute(action);
                handler(signal);
            }
            // Whoever puts the default back, as the standard library's handler does, counts on the fault to repeat. What was
            // sent does not.
            let mut now: libc::sigaction = std::mem::zeroed();
            let told = libc::sigaction(signal, ptr::null(), &mut now) == 0;
            if sent && told && now.sa_sigaction == libc::SIG_DFL {
                libc::raise(signal);
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "the file is the test's own")]
    fn a_shortened_file_reads_as_zeros() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 40_000]).unwrap();
        // SAFETY: nobody writes into the file.
        let bytes = unsafe { map_file(&file) }.unwrap();
        assert!(bytes.iter().all(|byte| *byte == 7));
        file.set_len(5_000).unwrap();
        assert!(bytes[..5_000].iter().all(|byte| *byte == 7));
        assert!(bytes[8_192..].iter().all(|byte| *byte == 0));
        // Another map, of the same place as like as not, works as ever.
        drop(bytes);
        // SAFETY: nobody writes into the file.
        let bytes = unsafe { map_file(&file) }.unwrap();
        assert_eq!(bytes.len(), 5_000);
        assert!(bytes.iter().all(|byte| *byte == 7));
    }

    /// In a process of its own, which is this test again, told by a variable what was there before the map.
    #[test]
    fn a_signal_that_is_sent_does_what_it_did_before() {
        use std::os::unix::process::ExitStatusExt;
        use std::process::Command;

        const BEFORE: &str = "SLOWLEAK_TEST_SIGBUS";
        if let Ok(before) = std::env::var(BEFORE) {
            be_sent_a_signal(&before);
            return;
        }
        let name = "map::tests::a_signal_that_is_sent_does_what_it_did_before";
        for (before, ended_by) in
            [("the standard library", Some(libc::SIGBUS)), ("default", Some(libc::SIGBUS)), ("ignored", None)]
        {
            let mut again = Command::new(std::env::current_exe().unwrap());
            let again = again.args(["--exact", name, "--test-threads=1"]).env(BEFORE, before);
            let status = again.output().unwrap().status;
            assert_eq!(status.signal(), ended_by, "{before}");
            assert_eq!(status.code(), ended_by.is_none().then_some(0), "{before}");
        }
    }

    #[expect(
        unsafe_code,
        clippy::unwrap_used,
        reason = "a test's, whose signals are sent through libc and whose file is its own"
    )]
    fn be_sent_a_signal(before: &str) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100]).unwrap();
        // SAFETY: plain system calls; nobody writes into the file.
        unsafe {
            // Nobody wants the core of a test.
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            assert_eq!(libc::setrlimit(libc::RLIMIT_CORE, &none), 0);
            match before {
                "default" => _ = libc::signal(libc::SIGBUS, libc::SIG_DFL),
                "ignored" => _ = libc::signal(libc::SIGBUS, libc::SIG_IGN),
                _ => {}
            }
            let bytes = map_file(&file).unwrap();
            let sent = match before {
                "default" => libc::raise(libc::SIGBUS),
                _ => libc::kill(libc::getpid(), libc::SIGBUS),
            };
            assert_eq!(sent, 0);
            // It may reach another thread.
            std::thread::sleep(std::time::Duration::from_millis(200));
            assert!(bytes.iter().all(|byte| *byte == 7));
        }
    }
}
