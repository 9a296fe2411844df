//! Jobs: what is done now and then, and for nobody who waits: one small file a job.
//!
//! `app` starts them once requests are served. What must hold: an engine that may not act does
//! nothing; a job that ends in the middle does no harm, for the next start goes over the same
//! again.

mod auditing;

pub use auditing::{AuditOptions, AuditParts, StopPayouts, audit};
