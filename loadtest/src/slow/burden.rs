//! A control: as much CPU time as the frozen clients took, of engine, database and clients
//! together, burned by threads that have nothing to do with any of them.
//!
//! What witnesses lose beside it they lose to the machine, not to the engine: no engine can do
//! better beside so much work. It is burned in short pieces at random moments, about as the work
//! of many small packets is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::procs;

/// About what a few commands of one client take.
const PIECE: Duration = Duration::from_micros(100);
const THREADS: u32 = 2;

/// Threads that burn until this is dropped.
pub(super) struct Burden {
    over: Arc<AtomicBool>,
}

impl Burden {
    /// `cores`: so much of a core, of all threads together.
    pub(super) fn start(cores: f64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..THREADS {
            let over = Arc::clone(&over);
            thread::spawn(move || burn(cores / f64::from(THREADS), &over));
        }
        Self { over }
    }
}

impl Drop for Burden {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Burns this share of a core, by the scheduler's own count of what this thread took.
fn burn(share: f64, over: &AtomicBool) {
    let (begun, before) = (Instant::now(), procs::of_this_thread());
    let pause = PIECE.div_f64(share.clamp(0.001, 1.0));
    while !over.load(Ordering::Relaxed) {
        if procs::of_this_thread().saturating_sub(before) < begun.elapsed().mul_f64(share) {
            let piece = Instant::now();
            while piece.elapsed() < PIECE {
                std::hint::spin_loop();
            }
        } else {
            thread::sleep(pause.mul_f64(rand::random_range(0.0..2.0)));
        }
    }
}
