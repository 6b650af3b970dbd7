//! The `vmm` program.

fn main() -> anyhow::Result<()> {
    let config: vmm_control::VmConfig =
        serde_json::from_reader(std::fs::File::open(std::env::args().nth(1).unwrap())?)?;
    let control = std::path::PathBuf::from(std::env::args().nth(2).unwrap());
    let jail = (std::env::args().nth(3).as_deref() != Some("--no-jail")).then(|| vmm::jail::Jail {
        run_directory: control.parent().unwrap().to_owned(),
        identity: vmm::jail::Identity::Unique,
        limits: None,
    });
    let reason = vmm::run::run(vmm::run::RunOptions {
        config,
        frozen: None,
        control,
        jail,
        log: Some(std::fs::File::create("/tmp/vmm.log")?),
        ready: None,
        start: true,
    })?;
    eprintln!("{reason:?}");
    Ok(())
}
