//! `ibora audit`: every promise, checked over the whole database.

use std::process::ExitCode;

use super::{print, progress};
use crate::app::Store;
use crate::config::Config;
use crate::readmodel::audit;

/// Exit code when a promise is broken.
const BROKEN: u8 = 3;

pub(super) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_beside(config).await?;
    let findings = audit(&store.pool, |checking| progress(&format!("checking {checking}"))).await?;
    let mut broken = 0;
    for finding in &findings {
        broken += finding.violations;
        let verdict = if finding.violations == 0 { "holds" } else { "BROKEN" };
        let sentence = finding.invariant.sentence();
        print(&format!(
            "{:8} {verdict:6} {:>6}  {sentence}",
            finding.invariant.id(),
            finding.violations
        ));
        for example in &finding.examples {
            print(&format!("{:24} e.g. {example}", ""));
        }
    }
    store.close().await?;
    print(&format!("{} promises checked, {broken} violations", findings.len()));
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}
