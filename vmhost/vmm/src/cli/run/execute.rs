//! Carries a plan out.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::process::ExitCode;

use anyhow::Context as _;
use vmm_control::{Code, ControlError, ExitReason, VmConfig};

use super::frozen::{of_image, of_snapshot};
use super::{Plan, Source};
use crate::cli::{Output, show};
use crate::jail::{Identity, Jail};
use crate::run::{Frozen, RunOptions, run};

impl Plan {
    /// Becomes the VM; returns when it has ended.
    ///
    /// # Errors
    /// When it can't be one; whoever waits for it to be ready is told, too.
    pub(crate) fn execute(mut self, out: Output) -> anyhow::Result<ExitCode> {
        let ready = self.ready.take();
        let copy = ready.as_ref().map(vmm_control::Ready::try_clone).transpose()?;
        match self.options(copy).and_then(|options| Ok(run(options)?)) {
            Ok(reason) => {
                // Standard output may be the console: the end of the VM isn't part of it.
                out.tell(&reason, |reason| format!("{}\n", show::reason(reason)));
                let failed = matches!(reason, ExitReason::TripleFault | ExitReason::Failed(_));
                Ok(ExitCode::from(u8::from(failed)))
            }
            Err(error) => {
                if let Some(ready) = ready {
                    ready.failed(&ControlError::new(Code::Host, format!("{error:#}")));
                }
                Err(error)
            }
        }
    }

    fn options(self, ready: Option<std::os::fd::OwnedFd>) -> anyhow::Result<RunOptions> {
        let directory = &self.run_directory;
        // Its sockets are the owner's alone.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.with_context(|| format!("can't make {}", directory.display()))?;
        let (config, frozen): (VmConfig, Option<Frozen>) = match self.source {
            Source::Boot(config) => (config, None),
            Source::Image(image, descriptors) => of_image(*image, descriptors)?,
            Source::Snapshot(from) => of_snapshot(&from, directory)?,
        };
        let open = |path: &std::path::PathBuf| {
            let file = File::options().create(true).append(true).open(path);
            file.with_context(|| format!("can't open {}", path.display()))
        };
        let log = self.log.as_ref().map(open).transpose()?;
        let jail = Jail { run_directory: directory.clone(), identity: Identity::Unique, limits: None };
        Ok(RunOptions {
            config,
            frozen,
            control: self.control,
            jail: self.jail.then_some(jail),
            log,
            ready,
            start: !self.paused,
        })
    }
}
